"""The reference page: the contract, made readable by Stoplight Elements, and a request that can be sent from it.

It is one HTML file that asks for nothing but a token. The folder ``elements`` holds what `make page` fetches of
Elements; a wheel brings it along. An installation without it has a short page in its place.
"""

from __future__ import annotations

import base64
import hashlib
import json
from copy import deepcopy
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .clients import DEMO_CLIENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .clients import Client

__all__ = ["ELEMENTS", "LICENCES", "SCRIPT", "STYLE", "Page", "published_page", "sandbox_page"]

ELEMENTS = Path(__file__).resolve().parent / "elements"
SCRIPT, STYLE = "web-components.min.js", "styles.min.css"
LICENCES = ("LICENSE", "web-components.min.js.LICENSE.txt")

# Elements would keep what is typed into the page, a secret too, in the browser's profile. It gets a memory instead,
# which ends with the page. In the sandbox every address is the sandbox's, so that samples can be pasted.
_PREPARE = """
"use strict";
const page = JSON.parse(document.getElementById("page").textContent);
const kept = new Map();
Object.defineProperty(window, "localStorage", { value: {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, value) => { kept.set(name, String(value)); },
  removeItem: (name) => { kept.delete(name); },
} });
let text = JSON.stringify(page.contract);
if (page.sandbox) {
  text = text.replaceAll(page.contract.servers[0].url, location.origin);
  localStorage.setItem("TryIt_securitySchemeValues", JSON.stringify(page.sandbox));
}
"""
_SHOW = """
if (!location.hash) history.replaceState(null, "", "#/operations/getAccessToken");
const reference = document.createElement("elements-api");
reference.setAttribute("router", "hash");
reference.setAttribute("layout", "responsive");
reference.setAttribute("tryItCredentialsPolicy", "omit"); // or the browser asks for a password where a secret is wrong
reference.apiDescriptionDocument = text;
document.querySelector("main").append(reference);
"""
# Elements would cut off the statuses from the fourth on, and on a phone the path of the endpoint.
_MORE_STYLE = """
body { margin: 0 }
.sl-elements [role="tablist"] { flex-wrap: wrap; justify-content: end }
@media (max-width: 600px) { .sl-elements .sl-truncate { white-space: normal; overflow-wrap: anywhere } }
"""
_SHORT_STYLE = "body { font: 1rem/1.5 sans-serif; margin: 2rem auto; max-width: 44rem; padding: 0 1rem }"


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and what it may do.

    Attributes:
        html: The document.
        policy: Its Content-Security-Policy, for a response header. The document has it, too.
    """

    html: str
    policy: str


def published_page(contract: Mapping[str, Any]) -> Page:
    """The page for everybody: requests go to the contract's server, with credentials that the reader types in.

    Args:
        contract: The contract as an object.

    Raises:
        FileNotFoundError: `make page` has not fetched Elements.
    """
    return _reference(_for_reading(contract), None, contract["servers"][0]["url"])


def sandbox_page(contract: Mapping[str, Any], clients: Sequence[Client]) -> Page:
    """The page of a sandbox: requests go to the sandbox, and the first client's id is filled in.

    The secret is filled in only if it is the demo client's, which is none: what somebody wrote into a file stays there.

    Args:
        contract: The contract as an object.
        clients: The clients that the sandbox knows.
    """
    if not all((ELEMENTS / name).is_file() for name in (SCRIPT, STYLE, *LICENCES)):
        return _short(clients)
    document = _for_reading(contract)
    document["servers"][0]["description"] = "This sandbox"
    credentials = f"{clients[0].client_id}:{_public_secret(clients[0])}"
    # As Elements keeps them: by the name of the security scheme.
    return _reference(document, {"basicAuth": base64.b64encode(credentials.encode()).decode()}, "'self'")


def _public_secret(client: Client) -> str:
    return client.client_secret if client.client_secret == DEMO_CLIENT.client_secret else ""


def _for_reading(contract: Mapping[str, Any]) -> dict[str, Any]:
    """The contract with what Elements, or OpenAPI, would not show."""
    document = deepcopy(dict(contract))
    # OpenAPI has a Content-Type among the headers ignored, so the contract has none.
    headers = document["paths"]["/oauth/token"]["get"]["responses"]["200"]["headers"]
    headers["Content-Type"] = {
        "description": "Media type of the body.",
        "schema": {"type": "string", "example": "application/json;charset=utf-8"},
    }
    document["paths"]["/oauth/token"]["get"]["responses"]["200"]["headers"] = dict(sorted(headers.items()))
    # Elements shows only the security schemes that a request of this document uses.
    token = document["components"]["securitySchemes"]["oauth2"]
    flow = token["flows"]["clientCredentials"]
    scopes = "".join(f"| `{name}` | {what} |\n" for name, what in flow["scopes"].items())
    document["info"]["description"] += (
        f"\n## With the token\n\n{token['description']}\n\nIts security scheme there is `oauth2`, with the token URL "
        f"`{flow['tokenUrl']}` and these scopes:\n\n| scope | what it opens |\n|---|---|\n{scopes}"
    )
    return document


def _reference(document: Mapping[str, Any], credentials: Mapping[str, str] | None, server: str) -> Page:
    script = _inline((ELEMENTS / SCRIPT).read_text(encoding="utf-8"))
    style = (ELEMENTS / STYLE).read_text(encoding="utf-8") + _MORE_STYLE
    licences = "\n".join((ELEMENTS / name).read_text(encoding="utf-8") for name in LICENCES).replace("--", "- -")
    data = json.dumps({"contract": document, "sandbox": credentials}, ensure_ascii=False).replace("<", "\\u003c")
    scripts = " ".join(f"'sha256-{_sha256(each)}'" for each in (_PREPARE, script, _SHOW))
    # Elements sets styles one by one; scripts are those three, and nothing is loaded from anywhere.
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:; "
        f"connect-src {server}; base-uri 'none'; form-action 'none'"
    )
    title = f"{document['paths']['/oauth/token']['get']['summary']} - {document['info']['title']}"
    body = (
        "<main><noscript>This page needs JavaScript. The contract that it shows is a text file, "
        "domo-oauth.yaml.</noscript></main>\n"
        f'<script type="application/json" id="page">{data}</script>\n'
        f"<script>{_PREPARE}</script>\n"
        f"<!-- Stoplight Elements, and what it is made of:\n{licences}\n-->\n"
        f"<script>{script}</script>\n"
        f"<script>{_SHOW}</script>"
    )
    return Page(_html(title, policy, style, body), policy)


def _short(clients: Sequence[Client]) -> Page:
    known = "".join(
        f"<li><code>{escape(each.client_id)}</code>"
        + (f", secret <code>{escape(secret)}</code>" if (secret := _public_secret(each)) else "")
        + f": <code>{escape(' '.join(each.scopes))}</code></li>"
        for each in clients
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    body = (
        "<main><h1>A sandbox of Domo's token endpoint</h1>\n"
        "<h2>Endpoints</h2>\n<ul>"
        "<li><code>GET /oauth/token?grant_type=client_credentials</code>, with HTTP Basic credentials</li>"
        "<li><code>GET /v1/datasets</code>, with the token</li>"
        '<li><a href="/_sandbox/stats"><code>GET /_sandbox/stats</code></a>, '
        "<code>POST /_sandbox/reset</code>, <code>POST /_sandbox/revoke</code></li>"
        '<li><a href="/_sandbox/contract.yaml"><code>GET /_sandbox/contract.yaml</code></a></li></ul>\n'
        f"<h2>Clients and their scopes</h2>\n<ul>{known}</ul>\n"
        "<h2>The reference page</h2>\n"
        "<p>It shows the contract, and sends requests from the browser. This installation lacks it: released wheels "
        "have it, and in a checkout <code>make page</code> fetches it.</p></main>"
    )
    return Page(_html("A sandbox of Domo's token endpoint", policy, _SHORT_STYLE, body), policy)


def _html(title: str, policy: str, style: str, body: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<link rel="icon" href="data:,">\n'  # or the browser asks for one
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _inline(script: str) -> str:
    """The same script without what would end, or hide the end of, its element in HTML."""
    return script.replace("<!--", "\\x3c!--").replace("</script", "\\x3c/script")


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
