import { defineConfig } from "@kubb/core";
import { pluginClient } from "@kubb/plugin-client";
import { pluginOas } from "@kubb/plugin-oas";
import { pluginTs } from "@kubb/plugin-ts";
import { pluginZod } from "@kubb/plugin-zod";

const file = (path: string) => ({ path, barrelType: false as const });

export default defineConfig({
  input: { path: "domo-oauth.yaml" },
  output: { path: "client", extension: { ".ts": ".js" }, barrelType: false },
  plugins: [
    pluginOas({ generators: [] }),
    pluginTs({ output: file("types.ts") }),
    pluginZod({ output: file("schemas.ts"), version: "4" }),
    pluginClient({ output: file("client.ts"), importPath: "../send.js", dataReturnType: "full", parser: "zod" }),
  ],
});
