// Gets an access token with the generated client, uses it, and shows what each refusal looks like.
import { getAccessToken } from "./client.js";
import type { GetAccessTokenParams, TokenError } from "./client.js";

const { DOMO_API_URL: url = "https://api.domo.com", DOMO_CLIENT_SECRET: secret = "" } = process.env;
const { DOMO_ERROR_URL: errorUrl = "", DOMO_HTML_URL: htmlUrl = "" } = process.env;

/** Ask once. `status` comes first: an error's body may be empty or HTML, and then no field is set. */
async function requestToken(baseUrl: string, clientSecret: string, scope: string) {
  return getAccessToken({ grant_type: "client_credentials", scope }, { baseUrl, clientSecret });
}

async function refusal(baseUrl: string, clientSecret: string, scope: string): Promise<TokenError & { code: number }> {
  const answer = await requestToken(baseUrl, clientSecret, scope);
  if (answer.status === 200) throw new Error("it was not refused");
  return { ...answer.data, code: answer.status };
}

async function listDatasets(baseUrl: string, token: string) {
  const headers = { Authorization: `Bearer ${token}` };
  const response = await fetch(`${baseUrl}/v1/datasets`, { headers, redirect: "error" });
  return { status: response.status, datasets: (await response.json()) as { name: string }[] };
}

const answer = await requestToken(url, secret, "data user");
if (answer.status !== 200) throw new Error(`no token: status ${answer.status}`);
const token = answer.data;
console.log(`token: customer ${token.customer}, role ${token.role}, scopes ${token.scope}`);
const { status, datasets } = await listDatasets(url, token.access_token);
console.log(`datasets: status ${status}, ${datasets.length} of them`);

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

// @ts-expect-error The grant type is required. orval makes a parameter with a default optional, and then it is not sent.
({}) satisfies GetAccessTokenParams;
