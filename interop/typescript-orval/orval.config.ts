import { defineConfig } from "orval";

export default defineConfig({
  domo: {
    input: "domo-oauth.yaml",
    output: {
      target: "client.ts",
      client: "fetch",
      override: { mutator: { path: "send.ts", name: "send", extension: ".js" } },
    },
  },
});
