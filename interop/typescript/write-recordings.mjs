// Writes the recordings as a TypeScript module, so that the compiler checks each body against the generated types.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const folder = process.env.DOMO_RECORDINGS ?? "recordings";
const entries = readdirSync(folder).filter((name) => name.endsWith(".har")).map((name) => {
  const { status, headers, content } = JSON.parse(readFileSync(`${folder}/${name}`, "utf8")).log.entries[0].response;
  const body = content.text ? `${JSON.stringify(JSON.parse(content.text))} satisfies Body<${status}>` : "undefined";
  const rest = JSON.stringify({ name, status, headers, text: content.text ?? "" }).slice(1, -1);
  return `  { ${rest}, body: ${body} },`;
});
writeFileSync("recordings.gen.ts", `import type { operations } from "./schema.js";

type Responses = operations["getAccessToken"]["responses"];
type Body<Status extends keyof Responses> = Responses[Status]["content"]["application/json"];

export const recordings = [
${entries.join("\n")}
];
`);
