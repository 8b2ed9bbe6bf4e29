// Gets an access token with the generated client, uses it, and shows what each refusal looks like.
import { getAccessToken } from "./client/client.js";
import { getAccessTokenQueryParamsSchema } from "./client/schemas.js";
import { Refused } from "./send.js";

const { DOMO_API_URL: url = "https://api.domo.com", DOMO_CLIENT_SECRET: secret = "" } = process.env;
const { DOMO_ERROR_URL: errorUrl = "", DOMO_HTML_URL: htmlUrl = "" } = process.env;

/** Ask once. zod checks what is sent and what comes back. An answer without a token throws Refused. */
async function requestToken(baseUrl: string, clientSecret: string, scope: string) {
  const query = getAccessTokenQueryParamsSchema.parse({ grant_type: "client_credentials", scope });
  return (await getAccessToken(query, { baseUrl, clientSecret })).data;
}

async function refusal(baseUrl: string, clientSecret: string, scope: string) {
  try {
    await requestToken(baseUrl, clientSecret, scope);
  } catch (refused) {
    if (refused instanceof Refused) return refused;
    throw refused;
  }
  throw new Error("it was not refused");
}

async function listDatasets(baseUrl: string, token: string) {
  const headers = { Authorization: `Bearer ${token}` };
  const response = await fetch(`${baseUrl}/v1/datasets`, { headers, redirect: "error" });
  return { status: response.status, datasets: (await response.json()) as { name: string }[] };
}

const token = await requestToken(url, secret, "data user");
console.log(`token: customer ${token.customer}, role ${token.role}, scopes ${token.scope}`);
const { status, datasets } = await listDatasets(url, token.access_token);
console.log(`datasets: status ${status}, ${datasets.length} of them`);

// Refusals by the sandbox and by the server of recordings. Domo itself is not asked for errors.
if (!errorUrl) process.exit();
let refused = await refusal(url, "wrong", "data");
console.log(`wrong secret: status ${refused.status}, ${refused.error.message}`);
refused = await refusal(url, secret, "workflow2");
console.log(`wrong scope: status ${refused.status}, ${refused.error.error}`);
refused = await refusal(errorUrl, secret, "data");
console.log(`Domo's own error: status ${refused.status}, toe ${refused.error.toe}`);
refused = await refusal(htmlUrl, secret, "data");
console.log(`HTML: status ${refused.status}`);
