// Gets an access token with the generated client, uses it, and shows what each refusal looks like.
import { Api } from "./client.js";
import type { TokenError } from "./client.js";

const { DOMO_API_URL: url = "https://api.domo.com", DOMO_CLIENT_ID: id = "", DOMO_CLIENT_SECRET: secret = "" } = process.env;
const { DOMO_ERROR_URL: errorUrl = "", DOMO_HTML_URL: htmlUrl = "" } = process.env;

/** Ask once. `status` comes first: an error's body may be empty or HTML, and then `error` is a SyntaxError. */
async function requestToken(baseUrl: string, clientSecret: string, scope: string) {
  const login = Buffer.from(`${id}:${clientSecret}`).toString("base64");
  const client = new Api({
    baseUrl,
    baseApiParams: {
      headers: { Accept: "application/json", Authorization: `Basic ${login}` },
      redirect: "error", // never follow one with the credentials
    },
  });
  const query = { grant_type: "client_credentials", scope } as const;
  return client.oauth.getAccessToken(query, { signal: AbortSignal.timeout(30_000) });
}

async function refusal(baseUrl: string, clientSecret: string, scope: string): Promise<TokenError & { code: number }> {
  const answer = await requestToken(baseUrl, clientSecret, scope);
  if (answer.ok) throw new Error("it was not refused");
  return { ...(answer.error instanceof Error ? {} : answer.error), code: answer.status };
}

async function listDatasets(baseUrl: string, token: string) {
  const headers = { Authorization: `Bearer ${token}` };
  const response = await fetch(`${baseUrl}/v1/datasets`, { headers, redirect: "error" });
  return { status: response.status, datasets: (await response.json()) as { name: string }[] };
}

const { data: token, status } = await requestToken(url, secret, "data user");
if (!token?.access_token) throw new Error(`no token: status ${status}`);
console.log(`token: customer ${token.customer}, role ${token.role}, scopes ${token.scope}`);
const listed = await listDatasets(url, token.access_token);
console.log(`datasets: status ${listed.status}, ${listed.datasets.length} of them`);

// Refusals by the sandbox and by the server of recordings. Domo itself is not asked for errors.
if (!errorUrl) process.exit();
let refused = await refusal(url, "wrong", "data");
console.log(`wrong secret: status ${refused.code}, ${refused.message}`);
refused = await refusal(url, secret, "workflow2");
console.log(`wrong scope: status ${refused.code}, ${refused.error}`);
refused = await refusal(errorUrl, secret, "data");
console.log(`Domo's own error: status ${refused.code}, toe ${refused.toe}`);
refused = await refusal(htmlUrl, secret, "data");
console.log(`HTML: status ${refused.code}`);
