"""The reference page: the contract made readable by Stoplight Elements, and a request to send from it.

It is one HTML file that loads nothing else. ``make page`` fetches Elements into the folder ``elements``, and wheels
include it. An installation without it shows a short page instead.
"""

from __future__ import annotations

import base64
import hashlib
import json
from copy import deepcopy
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.resources.abc import Traversable

    from .settings import Client

__all__ = ["ELEMENTS", "LICENCES", "SCRIPT", "STYLE", "published_page", "sandbox_page"]

_HERE = files("domo_oauth.sandbox")
ELEMENTS = _HERE / "elements"
SCRIPT, STYLE = "web-components.min.js", "styles.min.css"
LICENCES = ("LICENSE", "web-components.min.js.LICENSE.txt")


def published_page(contract: Mapping[str, Any]) -> str:
    """The page for everybody, as HTML: requests go to the contract's server, with credentials that the reader types in.

    Raises:
        FileNotFoundError: ``make page`` has not fetched Elements.
    """
    return _reference(_for_reading(contract), None, contract["servers"][0]["url"])


def sandbox_page(contract: Mapping[str, Any], clients: Sequence[Client]) -> str:
    """The page of a sandbox: requests go to the sandbox, with the first client's id filled in.

    The secret is filled in only if it is the public one of the demo client.
    """
    if not all((ELEMENTS / name).is_file() for name in (SCRIPT, STYLE, *LICENCES)):
        return _short()
    document = _for_reading(contract)
    document["servers"][0]["description"] = "This sandbox"
    credentials = f"{clients[0].client_id}:{clients[0].public_secret}"
    # Elements keeps credentials by the name of the security scheme.
    return _reference(document, {"basicAuth": base64.b64encode(credentials.encode()).decode()}, "'self'")


def _for_reading(contract: Mapping[str, Any]) -> dict[str, Any]:
    """The contract, and what Elements or OpenAPI would not show of it."""
    document = deepcopy(dict(contract))
    # OpenAPI ignores a Content-Type among the headers, so the contract has none.
    headers = document["paths"]["/oauth/token"]["get"]["responses"]["200"]["headers"]
    headers["Content-Type"] = {
        "description": "Media type of the body.",
        "schema": {"type": "string", "example": "application/json;charset=utf-8"},
    }
    # Elements shows only the security schemes that a request of this document uses.
    token = document["components"]["securitySchemes"]["oauth2"]
    flow = token["flows"]["clientCredentials"]
    scopes = "".join(f"| `{name}` | {what} |\n" for name, what in flow["scopes"].items())
    document["info"]["description"] += (
        f"\n## With the token\n\n{token['description']}\n\nIts security scheme there is `oauth2`, with the token URL "
        f"`{flow['tokenUrl']}` and these scopes:\n\n| scope | what it opens |\n|---|---|\n{scopes}"
    )
    return document


def _reference(document: Mapping[str, Any], credentials: Mapping[str, str] | None, server: str) -> str:
    # Without what would end its element in HTML, or hide the end.
    elements = _text(ELEMENTS / SCRIPT).replace("<!--", "\\x3c!--").replace("</script", "\\x3c/script")
    licences = "\n".join(_text(ELEMENTS / name) for name in LICENCES).replace("--", "- -")
    data = json.dumps({"contract": document, "sandbox": credentials}, ensure_ascii=False).replace("<", "\\u003c")
    scripts = (_text(_HERE / "prepare.js"), elements, _text(_HERE / "show.js"))
    body = (
        "<main><noscript>This page needs JavaScript. It shows the contract, the text file domo-oauth.yaml."
        f'</noscript></main>\n<script type="application/json" id="page">{data}</script>\n'
        f"<!-- Stoplight Elements and its parts:\n{licences}\n-->\n"
        + "\n".join(f"<script>{script}</script>" for script in scripts)
    )
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = "script-src " + " ".join(f"'sha256-{each}'" for each in hashes) + f"; connect-src {server}; "
    title = f"{document['paths']['/oauth/token']['get']['summary']} - {document['info']['title']}"
    return _page(title, body, allowed, _text(ELEMENTS / STYLE))


def _short() -> str:
    title = "A sandbox of Domo's token endpoint"
    missing = "The reference page is missing: wheels include it, and in a checkout <code>make page</code> fetches it."
    return _page(title, f"<main><h1>{title}</h1><p>{missing}</p></main>", "", "")


def _page(title: str, body: str, allowed: str, style: str) -> str:
    # Elements sets styles one by one; nothing is loaded from anywhere.
    policy = (
        f"default-src 'none'; {allowed}style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    template = Template(_text(_HERE / "page.html"))
    return template.substitute(policy=policy, title=escape(title), style=style, body=body)


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
