// Serves each recording to the client, and compares what it returns with what was recorded.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { requestToken } from "./domo.js";
import { recordings } from "./recordings.gen.js";

// Headers that describe the bytes on the wire rather than the recorded text.
const WIRE = new Set(["Connection", "Content-Encoding", "Content-Length", "Transfer-Encoding"]);

for (const { name, status, headers, text, body } of recordings) {
  test(name, async () => {
    const server = createServer((_, answer) => {
      for (const header of headers) if (!WIRE.has(header.name)) answer.appendHeader(header.name, header.value);
      answer.writeHead(status).end(text);
    }).listen(0, "127.0.0.1");
    try {
      await new Promise((resolve) => server.once("listening", resolve));
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const { data, error, response } = await requestToken(url, "id", "secret", "data");
      assert.equal(response.status, status);
      assert.deepEqual((status === 200 ? data : error) || undefined, body); // an empty body may come as ""
    } finally {
      server.close();
    }
  });
}

test("there are recordings", () => assert.ok(recordings.length > 0));
