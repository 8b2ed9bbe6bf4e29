// Gets an access token with the generated client, uses it, and shows what each refusal looks like.
import { createClient } from "./client/client/index.js";
import { getAccessToken } from "./client/index.js";

const { DOMO_API_URL: url = "https://api.domo.com", DOMO_CLIENT_ID: id = "", DOMO_CLIENT_SECRET: secret = "" } = process.env;
const { DOMO_ERROR_URL: errorUrl = "", DOMO_HTML_URL: htmlUrl = "" } = process.env;

/** Ask once. `response.status` comes first: an error's body may be empty or HTML, and then no field is set. */
async function requestToken(baseUrl: string, clientSecret: string, scope: string) {
  const client = createClient({
    baseUrl,
    auth: `${id}:${clientSecret}`,
    headers: { Accept: "application/json" },
    redirect: "error", // never follow one with the credentials
    signal: AbortSignal.timeout(30_000),
  });
  const answer = await getAccessToken({ client, query: { grant_type: "client_credentials", scope } });
  if (!answer.response) throw answer.error; // there was no answer
  return { ...answer, status: answer.response.status };
}

async function listDatasets(baseUrl: string, token: string) {
  const headers = { Authorization: `Bearer ${token}` };
  const response = await fetch(`${baseUrl}/v1/datasets`, { headers, redirect: "error" });
  return { status: response.status, datasets: (await response.json()) as { name: string }[] };
}

const { data: token, status } = await requestToken(url, secret, "data user");
if (!token) throw new Error(`no token: status ${status}`);
console.log(`token: customer ${token.customer}, role ${token.role}, scopes ${token.scope}`);
const listed = await listDatasets(url, token.access_token);
console.log(`datasets: status ${listed.status}, ${listed.datasets.length} of them`);

// Refusals by the sandbox and by the server of recordings. Domo itself is not asked for errors.
if (!errorUrl) process.exit();
let refused = await requestToken(url, "wrong", "data");
console.log(`wrong secret: status ${refused.status}, ${refused.error?.message}`);
refused = await requestToken(url, secret, "workflow2");
console.log(`wrong scope: status ${refused.status}, ${refused.error?.error}`);
refused = await requestToken(errorUrl, secret, "data");
console.log(`Domo's own error: status ${refused.status}, toe ${refused.error?.toe}`);
refused = await requestToken(htmlUrl, secret, "data");
console.log(`HTML: status ${refused.status}`);
