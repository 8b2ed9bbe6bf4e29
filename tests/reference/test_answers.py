"""The reference servers, the recordings, the contract and the sandbox say the same. Writes the table of all cases."""

import io
import json

import httpx
import pytest

from domo_oauth import ClientCredentials, errors, request_token
from domo_oauth.contract import verify
from domo_oauth.sandbox import Client, running
from interop.observe import CASES, DETAILS, RECORDINGS, answers, example, har_files, is_current
from interop.reference import MAIN, SERVERS, SOURCES, credentials

NAMES = [case.name for case in CASES + DETAILS]
TABLE = SOURCES / "cases.md"
HEADERS = ("Allow", "Cache-Control", "Content-Type", "Expires", "Pragma", "WWW-Authenticate")
HEAD = f"""\
# Every case

Written by `make test-reference`, which fails if a line changes. *Observed* is the response of {MAIN.title},
and that of another version if it differs. The sandbox has the same status, fields of the body, and header fields
({", ".join(f"`{name}`" for name in HEADERS)}), except where it says
why not. The last column is what `domo_oauth` makes of the response to a GET.

| case | observed | contract's example | sandbox | domo_oauth |
|---|---|---|---|---|
"""
ON_DEMAND = "has no such client; `fail_next(status, body=...)` gives any response"
DIFFERENCES = {
    **dict.fromkeys(("unauthorized-grant-type", "no-scopes", "denied", "fault"), ON_DEMAND),
    "bad-percent": "400: it decodes what it can; Tomcat drops the parameter",
    "wrong-secret-html": "401 JSON: it has no page for browsers",
    "unknown-method": "405, like for PUT; the 500 is a fault of the framework",
    "oversized-header": "200: no limit of 8 KB, as that of Domo's servers is not known",
}


@pytest.fixture(scope="module")
def sandbox():
    known = credentials()
    client = Client(client_id=known.client_id, client_secret=known.client_secret, scopes=("data", "user"))
    with running(clients=[client], quiet=True) as sandbox:
        return answers(sandbox.url, CASES + DETAILS)


def test_the_recordings_are_what_the_servers_return(observed):
    files = har_files(observed)
    assert {path.name for path in RECORDINGS.glob("observed-*.har")} == set(files), "run make observe"
    assert [name for name, content in files.items() if not is_current(RECORDINGS / name, content)] == []


def test_the_responses_keep_the_contract(observed, tmp_path):
    for name, content in har_files(observed).items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    out = io.StringIO()
    assert verify(sorted(tmp_path.iterdir()), out=out) == 0, out.getvalue()


def compared(exchange):
    headers = {name.lower(): value.lower() for name, value in exchange.response_headers}
    body = exchange.response_body.decode()
    if body.startswith("{"):
        fields = json.loads(body)
        body = fields | {name: "" for name in ("customer", "env", "userId") if name in fields}  # of the client
    else:
        headers.pop("content-type", None)
    return exchange.status, {name: headers.get(name.lower()) for name in HEADERS}, body


@pytest.mark.parametrize("case", [name for name in NAMES if name not in DIFFERENCES])
def test_the_sandbox_responds_like_the_reference_server(observed, sandbox, case):
    assert compared(sandbox[case]) == compared(observed[MAIN.name][case])


@pytest.mark.parametrize("case", DIFFERENCES)
def test_a_difference_that_is_listed_is_there(observed, sandbox, case):
    assert compared(sandbox[case]) != compared(observed[MAIN.name][case])


def summary(exchange):
    body = exchange.response_body.decode()
    if not body.startswith("{"):
        return f"{exchange.status} {'HTML' if body else 'without a body'}"
    fields = json.loads(body)
    if "access_token" in fields:
        return f"{exchange.status} with a token for `{fields.get('scope', '')}`".removesuffix(" for ``")
    said = fields.get("error_description") or fields.get("message")
    return f"{exchange.status} `{fields['error']}`{f': {said.strip()}' if said else ''}"


def outcome(exchange):
    if exchange.method != "GET":
        return ""
    headers = [line for line in exchange.response_headers if line[0] != "Transfer-Encoding"]
    answer = httpx.Response(exchange.status, headers=headers, content=exchange.response_body)
    try:
        request_token(
            ClientCredentials("id", "secret"), httpx_args={"transport": httpx.MockTransport(lambda _: answer)}
        )
    except errors.TokenRequestError as error:
        return f"`{type(error).__name__}`"
    return "a token"


def by_version(say, observed, case):
    """What to say of the response of the main server, and of others where it is something else."""
    said = {server: say(observed[server.name][case]) for server in SERVERS if case in observed[server.name]}
    main = said[MAIN]
    others = [f"{server.framework}: {text}" for server, text in said.items() if text != main]
    return "<br>".join([str(main), *others])


def test_the_table_of_all_cases_is_up_to_date(observed):
    table = HEAD
    for case in CASES + DETAILS:
        examples = dict.fromkeys(
            filter(None, (example(each[case.name]) for each in observed.values() if case.name in each))
        )
        columns = (
            case.about,
            by_version(summary, observed, case.name),
            ", ".join(f"`{name}`" for name in examples) if case in CASES else "",
            DIFFERENCES.get(case.name, "the same"),
            by_version(outcome, observed, case.name),
        )
        table += f"| {' | '.join(columns)} |\n"
    before = TABLE.read_text(encoding="utf-8") if TABLE.exists() else ""
    TABLE.write_text(table, encoding="utf-8")
    assert table == before, "read the difference, and commit it if it is right"
