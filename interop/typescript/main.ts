// Gets an access token with the generated types, uses it, and shows what each refusal looks like.
import { listDatasets, requestToken } from "./domo.js";

const { DOMO_API_URL: url = "https://api.domo.com", DOMO_CLIENT_ID: id = "", DOMO_CLIENT_SECRET: secret = "" } = process.env;
const { DOMO_ERROR_URL: errorUrl = "", DOMO_HTML_URL: htmlUrl = "" } = process.env;

const { data: token, response } = await requestToken(url, id, secret, "data user");
if (!token) throw new Error(`no token: status ${response.status}`);
console.log(`token: customer ${token.customer}, role ${token.role}, scopes ${token.scope}`);
const { status, datasets } = await listDatasets(url, token.access_token);
console.log(`datasets: status ${status}, ${datasets.length} of them`);

// Refusals by the sandbox and by the server of recordings. Domo itself is not asked for errors.
if (!errorUrl) process.exit();
let refused = await requestToken(url, id, "wrong", "data");
console.log(`wrong secret: status ${refused.response.status}, ${refused.error?.message}`);
refused = await requestToken(url, id, secret, "workflow2");
console.log(`wrong scope: status ${refused.response.status}, ${refused.error?.error}`);
refused = await requestToken(errorUrl, id, secret, "data");
console.log(`Domo's own error: status ${refused.response.status}, toe ${refused.error?.toe}`);
refused = await requestToken(htmlUrl, id, secret, "data");
console.log(`HTML: status ${refused.response.status}`);
