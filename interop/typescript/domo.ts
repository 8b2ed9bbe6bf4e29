import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

/** Ask once. `response.status` comes first: an error's body may be empty or HTML, and then no field is set. */
export async function requestToken(url: string, id: string, secret: string, scope: string) {
  const domo = createClient<paths>({
    baseUrl: url,
    headers: {
      Accept: "application/json",
      // openapi-fetch has no Basic authentication of its own.
      Authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}`,
    },
    redirect: "error", // never follow one with the credentials
    signal: AbortSignal.timeout(30_000),
  });
  return domo.GET("/oauth/token", { params: { query: { grant_type: "client_credentials", scope } } });
}

export async function listDatasets(url: string, token: string) {
  const headers = { Authorization: `Bearer ${token}` };
  const response = await fetch(`${url}/v1/datasets`, { headers, redirect: "error" });
  return { status: response.status, datasets: (await response.json()) as { name: string }[] };
}
