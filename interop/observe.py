"""Ask the reference servers, and write their answers as openapi/recordings/observed-*.har: what `make observe` runs.

Each distinct answer is one file. The same answers give the same files: dates and tokens, which differ each time, have
fixed values in them, and a file that would change in its day only is left alone.
"""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from domo_oauth.contract import Exchange, contract, har_text
from interop.reference import HERE, MAIN, SERVERS, Server, credentials, running

RECORDINGS = HERE.parent / "openapi" / "recordings"
RESPONSES: dict[str, Any] = contract()["paths"]["/oauth/token"]["get"]["responses"]
GRANT = "grant_type=client_credentials"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
KNOWN = "two-scopes:not-a-secret-of-two-scopes"
MASK = "[redacted]"
# In place of dates that differ each time.
WHEN = "2026-01-01T00:00:00.000"
DATE = "Thu, 01 Jan 2026 00:00:00 GMT"


@dataclass(frozen=True)
class Case:
    """A request, and what it is about. `authorization` is the header; None for that of the client."""

    name: str
    about: str
    query: str = GRANT
    client: str = "two-scopes"
    method: str = "GET"
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    authorization: str | None = None


def basic(text: str) -> str:
    """The header of these Basic credentials."""
    return f"Basic {b64encode(text.encode()).decode()}"


def scopes(name: str, about: str, scope: str) -> Case:
    """A request for scopes; the value is percent-encoded."""
    return Case(name, about, f"{GRANT}&scope={scope}")


ACCEPT_HTML = {"Accept": "text/html"}
# Those whose answers are recorded.
CASES = (
    Case("granted", "All scopes of the client"),
    scopes("granted-scope", "One of the client's scopes", "data"),
    Case("missing-grant-type", "No grant type", ""),
    Case("unsupported-grant-type", "A grant type that does not exist", "grant_type=foo"),
    Case("implicit-grant-type", "The implicit grant", "grant_type=implicit"),
    Case("unauthorized-grant-type", "A client that may not use the client credentials grant", client="other-grant"),
    scopes("invalid-scope", "A scope that the client does not have", "account"),
    scopes("commas", "Scopes separated by commas and spaces, as in the example on Domo's page", "data,+user"),
    scopes("doubled-space", "Two spaces between scopes", "data++user"),
    Case("no-scopes", "A client without scopes", client="no-scopes"),
    Case("wrong-secret", "A wrong secret", authorization=basic("two-scopes:wrong")),
    Case("no-credentials", "No credentials", authorization=""),
    Case("not-base64", "Credentials that are not base64", authorization="Basic %%%"),
    Case("no-colon", "Credentials without a colon", authorization=basic("two-scopes")),
    Case("another-client-id", "Another client_id in the query than in Basic", f"{GRANT}&client_id=other"),
    Case("denied", "A fault inside: access is denied", client="denied"),
    Case("fault", "Another fault inside", client="fault"),
)
# And the details, which only the sandbox is compared with.
DETAILS = (
    scopes("granted-scopes-with-20", "Two scopes, the space as %20", "user%20data"),
    scopes("granted-scopes-with-plus", "Two scopes, the space as +", "user+data"),
    scopes("same-scope-twice", "The same scope twice", "data+data"),
    scopes("trailing-space", "A space after the scope", "data+"),
    scopes("tab", "A tab between scopes", "data%09user"),
    scopes("line-end", "A line end between scopes", "data%0Auser"),
    scopes("empty-scope", "An empty scope", ""),
    scopes("only-a-space", "A scope of one space", "+"),
    Case("scope-parameter-twice", "The parameter scope twice", f"{GRANT}&scope=data&scope=account"),
    Case("unknown-parameter", "A parameter that the server does not know", f"{GRANT}&prompt=none"),
    Case("accept-html", "Accept: text/html", headers=ACCEPT_HTML),
    scopes("one-invalid-scope", "A scope that the client has and one that it does not have", "data+account"),
    scopes("two-invalid-scopes", "Two scopes that the client does not have", "workflow+account"),
    scopes("encoded-plus", "A plus sign between scopes, percent-encoded", "data%2Buser"),
    scopes("bad-percent", "A scope with a broken percent-encoding", "%zz"),
    scopes("leading-space", "A space before the scope", "+data"),
    Case("empty-grant-type", "An empty grant type", "grant_type="),
    Case("space-as-grant-type", "A space as grant type", "grant_type=+"),
    Case("refresh-token", "The refresh token grant", "grant_type=refresh_token&refresh_token=x"),
    Case("authorization-code", "The authorization code grant", "grant_type=authorization_code&code=x"),
    Case("password", "The password grant", "grant_type=password&username=a&password=b"),
    Case("empty-client-id", "An empty client_id in the query", f"{GRANT}&client_id="),
    Case("scope-and-client-id-wrong", "Both scope and client_id are wrong", f"{GRANT}&client_id=other&scope=account"),
    Case("scope-and-grant-type-wrong", "Both scope and grant type are wrong", "grant_type=foo&scope=account"),
    Case("unknown-client", "An unknown client", authorization=basic("nobody:wrong")),
    Case("lower-case-scheme", "basic in lower case", authorization=basic(KNOWN).lower()[:5] + basic(KNOWN)[5:]),
    Case("more-spaces", "Two spaces after Basic", authorization=basic(KNOWN).replace(" ", "  ")),
    Case("another-scheme", "Bearer in place of Basic", authorization="Bearer token"),
    Case(
        "percent-encoded-credentials",
        "A client id that was percent-encoded before base64",
        authorization=basic("two%2Dscopes:not%2Da%2Dsecret%2Dof%2Dtwo%2Dscopes"),
    ),
    Case(
        "credentials-in-query",
        "Client id and secret in the query",
        f"{GRANT}&client_id=two-scopes&client_secret=not-a-secret-of-two-scopes",
        authorization="",
    ),
    Case("wrong-secret-html", "A wrong secret, and Accept: text/html", headers=ACCEPT_HTML, authorization=basic("a:b")),
    Case("head", "HEAD", method="HEAD"),
    Case("options", "OPTIONS", method="OPTIONS"),
    Case("put", "PUT", method="PUT"),
    Case("patch", "PATCH", method="PATCH"),
    Case("delete", "DELETE", method="DELETE"),
    Case("unknown-method", "A method that HTTP does not know", method="PURGE"),
    Case("put-wrong-secret", "PUT with a wrong secret", method="PUT", authorization=basic("two-scopes:wrong")),
    Case("post-form", "POST of a form", "", method="POST", body=f"{GRANT}&scope=data", headers=FORM),
    Case("post-query", "POST with a query", f"{GRANT}&scope=data", method="POST"),
    Case(
        "post-both",
        "POST with a query and a form",
        "scope=user",
        method="POST",
        body=f"{GRANT}&scope=data",
        headers=FORM,
    ),
    Case(
        "post-credentials-in-form",
        "POST with client id and secret in the form",
        "",
        method="POST",
        body=f"{GRANT}&client_id=two-scopes&client_secret=not-a-secret-of-two-scopes",
        headers=FORM,
        authorization="",
    ),
    Case(
        "post-json",
        "POST of JSON",
        "",
        method="POST",
        body='{"grant_type": "client_credentials"}',
        headers={"Content-Type": "application/json"},
    ),
    Case("get-form", "GET with the parameters in a form", "", body=GRANT, headers=FORM),
    Case("oversized-header", "A header of 60,000 characters", headers={"X-Padding": "a" * 60_000}),
)


def ask(url: str, case: Case) -> Exchange:
    """Send the request of a case; return the exchange as it was."""
    known = credentials(case.client)
    authorization = (
        basic(f"{known.client_id}:{known.client_secret}") if case.authorization is None else case.authorization
    )
    headers = {"Accept": "application/json", "Authorization": authorization} | case.headers
    with httpx.Client(trust_env=False, timeout=60) as client:
        client.headers.clear()  # nothing but what the case says
        target = f"{url}/oauth/token{case.query and '?'}{case.query}"
        sent = {name: value for name, value in headers.items() if value}
        answer = client.request(case.method, target, headers=sent, content=case.body)
        return Exchange(
            case.method,
            target,
            tuple(sent.items()),
            (case.body or "").encode(),
            answer.status_code,
            tuple((name.decode(), value.decode()) for name, value in answer.headers.raw),
            answer.content,
        )


def masked(exchange: Exchange) -> Exchange:
    """The exchange without credentials, and without what differs each time: the port, dates and tokens."""
    body = exchange.response_body
    if body.startswith(b"{"):
        fields: dict[str, Any] = json.loads(body)
        fields |= {name: mask(fields[name]) for name, mask in _MASKS.items() if name in fields}
        body = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    return replace(
        exchange,
        url=re.sub(r":\d+/", "/", exchange.url),
        request_headers=tuple(
            (name, f"Basic {MASK}" if name == "Authorization" else value) for name, value in exchange.request_headers
        ),
        response_headers=tuple((name, DATE if name == "Date" else value) for name, value in exchange.response_headers),
        response_body=body,
    )


def _timestamp(value: str | int) -> str | int:
    return re.sub(r"^.+(?=[+Z])", WHEN, value) if isinstance(value, str) else 1767225600000


def _jti(value: str) -> str:
    return re.sub("[0-9a-f]", "0", value) if re.fullmatch(r"[0-9a-f]+(-[0-9a-f]+){4}", value) else "0" * len(value)


_MASKS: dict[str, Callable[[Any], Any]] = {"access_token": lambda _: MASK, "jti": _jti, "timestamp": _timestamp}


def answers(url: str, cases: tuple[Case, ...] = CASES) -> dict[str, Exchange]:
    """Send these cases to a server; return the masked exchanges by the name of the case."""
    return {case.name: masked(_ask_until_quick(url, case)) for case in cases}


def _ask_until_quick(url: str, case: Case) -> Exchange:
    """Ask again if the token has lost a second or more before it was sent: a slow machine must not change the files."""
    while re.search(rb'"expires_in":35([0-8]\d|9[0-8])', (exchange := ask(url, case)).response_body):
        pass
    return exchange


def har_files(observed: Mapping[str, Mapping[str, Exchange]]) -> dict[str, str]:
    """The HAR files, by their names, of what was observed: the exchanges by the names of server and case."""
    files: dict[str, str] = {}
    seen = set[tuple[int, str]]()
    for server, case in ((server, case) for server in SERVERS for case in CASES):
        exchange = observed[server.name][case.name]
        # The scopes that were granted make no difference.
        answer = (exchange.status, re.sub(r'"scope":"[^"]*"', "scope", exchange.response_body.decode()))
        if answer not in seen and str(exchange.status) in RESPONSES:
            seen.add(answer)
            suffix = "" if server is MAIN else f"-{server.name}"
            files[f"observed-{exchange.status}-{case.name}{suffix}.har"] = _har_text(server, case, exchange)
    return files


def example(exchange: Exchange) -> str | None:
    """The name of the contract's example with this status and body."""
    content = RESPONSES.get(str(exchange.status), {}).get("content", {}).get("application/json", {})
    names = [each["$ref"].rpartition("/")[2] for each in content.get("examples", {}).values()]
    values = {name: contract()["components"]["examples"][name]["value"] for name in names}
    body = json.loads(exchange.response_body) if exchange.response_body.startswith(b"{") else None
    return next((name for name, value in values.items() if value == body), None)


def _har_text(server: Server, case: Case, exchange: Exchange) -> str:
    source = server.title + (", with a filter that hands GET on as POST" if server.name.startswith("sas") else "")
    framework, _, version = server.framework.rpartition(" ")
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    changed = [f"response.body.{name}" for name in _MASKS if f'"{name}"'.encode() in exchange.response_body]
    provenance = {
        "kind": "observed",
        "source": source,
        "framework": framework,
        "version": version,
        "when": today,
        "changed": ["request.url", "response.headers.Date", *changed],
    }
    if name := example(exchange):
        provenance["example"] = name
    comment = (
        f"{case.about} (observed). A response of {source}, run on loopback. Never seen from Domo. "
        "The port was left out; dates and tokens were replaced."
    )
    return har_text(exchange, comment=comment, provenance=provenance, started=f"{today}T00:00:00.000Z")


def is_current(path: Path, content: str) -> bool:
    """Whether the file has this content, apart from the day and the version of the contract."""
    changing = re.compile(r'"(when|startedDateTime|version)": "[^"]*"')
    return path.exists() and changing.sub("", path.read_text(encoding="utf-8")) == changing.sub("", content)


def main() -> None:
    observed: dict[str, dict[str, Exchange]] = {}
    for server in SERVERS:
        with running(server) as url:
            observed[server.name] = answers(url)
    files = har_files(observed)
    for path in RECORDINGS.glob("observed-*.har"):
        if path.name not in files:
            path.unlink()
            print(f"{path.name}: removed")
    for name, content in files.items():
        if not is_current(RECORDINGS / name, content):
            (RECORDINGS / name).write_text(content, encoding="utf-8")
            print(f"{name}: written")


if __name__ == "__main__":
    main()
