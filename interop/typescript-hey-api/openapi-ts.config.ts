import { defineConfig } from "@hey-api/openapi-ts";

export default defineConfig({
  input: "./domo-oauth.yaml",
  output: "client",
  plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "@hey-api/sdk"],
});
