"""HAR files as exporters write them: other entries are skipped, and what was not kept is not checked."""

import base64
import io
import json
import string
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domo_oauth.contract import Exchange, HarError, har_text, read_har, recordings, verify

from .conftest import the

CHECKED = "1 exchange checked: 0 errors, 0 unknown fields"
AUTHORIZATION = "entry 1: not checked: request.headers.Authorization: not kept"
BODY = "entry 1: not checked: response.body: not kept"
HEADERS = "entry 1: not checked: response.headers: not kept"
NO_RESPONSE = "entry 1: not checked: no response"
LINE_1 = "line 1 column 1 (char 0)"
NOTHING = "nothing to check in 1 exchange of the contract"


DELETED = object()
TEXT = the("recorded-2022-documentation-page").response_body.decode()
NO_JSON = "expected JSON (RFC 8259); found"


def patched(node, patch):
    """The node with these members replaced, however deep, as in a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    merged = node | {name: patched(node.get(name, {}), value) for name, value in patch.items()}
    return {name: value for name, value in merged.items() if value is not DELETED}


def request(**members):
    return {"request": members}


def response(**members):
    return {"response": members}


def content(**members):
    return response(content=members)


def lines(**headers):
    return [{"name": name.replace("_", "-"), "value": value} for name, value in headers.items()]


PSEUDO = {":authority": "api.domo.com", ":method": "GET", ":path": "/oauth/token", ":scheme": "https"}
IN_BASE64 = base64.b64encode(TEXT.encode()).decode()
ENTRIES = {
    "as it is": ({}, []),
    "over HTTP/2 in Chrome": (request(headers=lines(**PSEUDO, authorization="Basic aTpz")), []),
    "fields of Chrome": (
        response(_error=None, _transferSize=1200) | {"_resourceType": "fetch", "_initiator": None},
        [],
    ),
    "sanitized export of Chrome": (request(headers=lines(accept="application/json"), cookies=[]), [AUTHORIZATION]),
    "masked by hand": (
        request(headers=lines(Authorization="REDACTED")),
        [AUTHORIZATION.replace("not kept", "redacted")],
    ),
    "body in base64": (content(text=IN_BASE64, encoding="base64"), []),
    "body in broken base64": (content(text="é", encoding="base64"), [BODY]),
    "body in base64 that breaks off": (content(text="eyJ", encoding="base64"), [BODY]),
    "byte order mark in the body": (content(text=f"\ufeff{TEXT}"), []),
    "no sizes and no media type": (content(size=DELETED, mimeType=DELETED), []),
    "cookies": (response(cookies=[{"name": "a", "value": "1", "expires": None}]), []),
    "no text": (content(text=DELETED), [BODY]),
    "text is null": (content(text=None), [BODY]),
    "text is empty, and its size is not": (content(text=""), [BODY]),
    "text is empty, and its size unknown": (content(text="", size=-1), [BODY]),
    "size is 0, and Content-Length is not": (
        patched(
            content(text="", size=0),
            response(headers=lines(Content_Length="300", Cache_Control="no-store", Content_Type="application/json")),
        ),
        [BODY],
    ),
    "body in a file of its own": (content(text=DELETED, size=-1, _file="0a.json"), [BODY]),
    "no content": (response(content=None), [BODY]),
    "aborted in the body": (response(_error="net::ERR_ABORTED"), [BODY]),
    "response headers are null": (response(headers=None), [HEADERS]),
    "no response headers": (response(headers=DELETED), [HEADERS]),
    "request headers are no list": (request(headers="x"), [AUTHORIZATION]),
    "odd headers": (request(headers=[None, {}, 7, *lines(X=None, Authorization="Basic aTpz")]), []),
    "no method": (request(method=None), ["entry 1: not checked: request: not kept"]),
    "postData": (
        request(postData={"text": "x=y"}),
        ["entry 1: unknown field: request.body: expected none; found 3 bytes"],
    ),
    "postData is null": (request(postData=None), []),
    "page": (
        content(text="<p>Sign in"),
        [f"entry 1: error: response.body: {NO_JSON} something else: Expecting value: {LINE_1}"],
    ),
    "page without response headers": (
        patched(content(text="<p>Sign in"), response(headers=[])),
        [f"entry 1: error: response.body: {NO_JSON} something else: Expecting value: {LINE_1}", HEADERS],
    ),
    "empty body": (content(text=DELETED, size=0), [f"entry 1: error: response.body: {NO_JSON} nothing"]),
    "no response": ({"response": DELETED}, [NO_RESPONSE]),
    "pending": (response(status=0), [NO_RESPONSE]),
    "status is a string": (response(status="200"), [NO_RESPONSE]),
    "no response in mitmproxy": (response(status=0, headers=[], content={}, _error="connection closed"), [NO_RESPONSE]),
    "no response in Playwright": (response(status=-1, headers=[], _failureText="net::ERR_FAILED"), [NO_RESPONSE]),
}


@pytest.mark.parametrize(("patch", "lines"), ENTRIES.values(), ids=ENTRIES)
def test_an_entry_of_the_contract(entry, verified, patch, lines):
    errors, unknown = (sum(f": {kind}: " in line for line in lines) for kind in ("error", "unknown field"))
    counts = f"1 exchange checked: {errors} error{'s' * (errors != 1)}, {unknown} unknown field{'s' * (unknown != 1)}"
    failed = errors or lines == [NO_RESPONSE]
    assert verified(patched(entry, patch)) == (
        int(bool(failed)),
        [*lines, NOTHING if lines == [NO_RESPONSE] else counts],
    )


OTHER_URLS = [
    "https://api.domo.com/v1/datasets",
    "https://auth.example.com/oauth/token",  # another service with the same path
    *("wss://api.domo.com/", "data:,", "http://[::1", "https://[redacted]/oauth/token", "", None, 7),
]
ODD = {
    "null": None,
    "a number": 7,
    "nothing": {},
    "request is null": {"request": None, "response": None},
    **{f"to {url}": {"request": {"url": url, "method": "GET", "headers": None}, "response": []} for url in OTHER_URLS},
    "a preflight": {"request": {"url": "https://api.domo.com/oauth/token", "method": "OPTIONS"}},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_any_other_entry_is_skipped(entry, verified, odd):
    entry["request"]["url"] += "&x=1"
    assert verified(odd, entry) == (
        0,
        [
            "entry 2: unknown field: request.query.x: the contract does not name this parameter",
            "1 exchange checked: 0 errors, 1 unknown field; 1 of other sites skipped",
        ],
    )
    assert verified(odd) == (1, ["nothing to check in 0 exchanges of the contract; 1 of other sites skipped"])


def test_strict_fails_on_an_unknown_field(entry, verified):
    entry["request"]["url"] += "&x=1"
    status, lines = verified(entry, strict=True)
    assert (status, lines[-1]) == (1, "1 exchange checked: 0 errors, 1 unknown field")


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost", "[::1]:8765", "127.1.2.3"])
def test_a_sandbox_is_held_to_the_contract(entry, verified, host):
    entry["request"]["url"] = f"http://{host}/oauth/token"
    assert verified(entry)[0] == 1


@pytest.mark.parametrize(
    ("parts", "lines"),
    [
        (["response"], ["request"]),
        (["response.body"], ["request", "response.status", "response.headers"]),
        (["request", "response"], []),
        ("all", ["request", "response.status", "response.headers", "response.body"]),
        ([], ["request", "response.status", "response.headers", "response.body"]),
    ],
)
def test_only_what_was_seen_of_a_recording_is_checked(entry, verified, parts, lines):
    recorded = {"kind": "recorded", "parts": parts}
    if "response.body" in lines:
        del entry["response"]["content"]["text"]
    status, output = verified(entry, _provenance=recorded)
    assert output[:-1] == [f"entry 1: not checked: {place}: not kept" for place in lines]
    assert (status, output[-1]) == ((1, f"{NOTHING} (recorded)") if len(lines) == 4 else (0, f"{CHECKED} (recorded)"))
    assert verified(entry, _provenance={**recorded, "kind": "derived"})[1][-1] == f"{CHECKED} (derived)"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_of_a_file(entry, tmp_path, encoding):
    (tmp_path / "x.har").write_text(json.dumps({"log": {"entries": [entry], "comment": "é"}}), encoding=encoding)
    assert len(read_har(tmp_path / "x.har").exchanges) == 1


NOT_HAR = {
    "empty": (b"", "it is not JSON"),
    "HTML": (b"<html>", "it is not JSON"),
    "Latin-1": (b'"\xe9"', "it is not JSON"),
    "nested": (b"[" * 100_000, "it is not JSON"),
    "array": (b"[]", "it has no list at log.entries"),
    "no entries": (b'{"log": {}}', "it has no list at log.entries"),
    "entries an object": (b'{"log": {"entries": {}}}', "it has no list at log.entries"),
}


@pytest.mark.parametrize(("content", "message"), NOT_HAR.values(), ids=NOT_HAR)
def test_a_file_that_is_not_a_har_file(tmp_path, content, message):
    (tmp_path / "x.har").write_bytes(content)
    with pytest.raises(HarError, match=f"^is not a HAR file: {message}$"):
        read_har(tmp_path / "x.har")


def test_one_bad_file_decides(tmp_path):
    out = io.StringIO()
    assert verify([tmp_path / "no\x1b\n\udc80.har", recordings()[0]], out=out) == 1
    assert out.getvalue().startswith(f"{tmp_path}/no .har: cannot be read: No such file or directory\n")
    assert "1 exchange checked" in out.getvalue()
    assert verify([], out=out) == 1


@pytest.mark.slow
def test_a_file_of_hundreds_of_megabytes(entry, verified):
    page = {"request": {"url": "https://www.example.com/"}, "response": {"content": {"text": "x" * 1_000_000}}}
    assert verified(*[page] * 200, entry) == (0, [f"{CHECKED}; 200 of other sites skipped"])


# Properties

URL = "https://api.domo.com/oauth/token"
text = st.text(max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 999) | text | st.sampled_from(["base64", "GET", URL, "eyJ9"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


def objects(**members):
    return json_values | st.fixed_dictionaries({}, optional=members)


headers = json_values | st.lists(objects(name=text | st.just("Content-Type"), value=text), max_size=3)
contents = objects(text=json_values, size=json_values, encoding=json_values, mimeType=json_values)
requests = objects(url=st.just(URL) | text, method=json_values, headers=headers, postData=objects(text=json_values))
responses = objects(status=st.just(200) | json_values, headers=headers, content=contents, _error=json_values)
logs = objects(
    entries=st.lists(objects(request=requests, response=responses), max_size=3) | json_values,
    _provenance=objects(kind=st.just("recorded") | json_values, parts=st.lists(text) | json_values),
)
profile = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


@profile
@given(document=objects(log=logs))
def test_any_json_gives_plain_lines(tmp_path, document):
    (tmp_path / "x.har").write_text(json.dumps(document))
    out = io.StringIO()
    assert verify([tmp_path / "x.har"], out=out) in {0, 1}
    assert set(out.getvalue()) <= {*string.printable} - {"\r", "\x0b", "\x0c"}


pairs = st.lists(st.tuples(text.filter(bool), text), max_size=3).map(tuple)
exchanges = st.builds(
    Exchange,
    st.just("GET"),
    st.sampled_from([URL, f"{URL}?scope=data+user&scope="]),
    pairs.map(lambda pairs: (("Authorization", "Basic aTpz"), *pairs)),
    text.map(str.encode),
    st.integers(1, 999),
    pairs.map(lambda pairs: (("Content-Type", "text/plain"), *pairs)),
    st.text(min_size=1).map(str.encode),
)


@profile
@given(exchange=exchanges)
def test_an_exchange_comes_back_from_a_har_file(tmp_path, exchange):
    provenance = {"kind": "derived", "source": "a test"}
    written = har_text(exchange, comment="made up", provenance=provenance, version="1.0.0")
    (tmp_path / "x.har").write_text(written, encoding="utf-8")
    recording = read_har(tmp_path / "x.har")
    assert recording.exchanges == {1: exchange}
    assert (recording.others, recording.provenance) == (0, provenance)


@pytest.mark.parametrize(("body", "missing"), [(b"", ()), (b"", ("response.body",))])
def test_an_empty_body_and_a_missing_one_come_back(tmp_path, body, missing):
    sent = (("Authorization", "Basic aTpz"),)
    exchange = Exchange("GET", URL, sent, b"", 401, (("Content-Type", "x"),), body, missing)
    written = har_text(
        exchange, comment="", provenance={"kind": "sandbox"}, version="1", started="2026", milliseconds=12.5
    )
    (tmp_path / "x.har").write_text(written, encoding="utf-8")
    assert read_har(tmp_path / "x.har").exchanges == {1: exchange}
    (entry,) = json.loads(written)["log"]["entries"]
    assert (entry["startedDateTime"], entry["time"]) == ("2026", 12.5)


def test_the_form_of_what_is_written(page):
    written = har_text(replace(page, status=302), comment="é", provenance={"kind": "derived"}, version="1")
    assert written.startswith('{\n  "log": {\n    "version": "1.2",')
    assert written.endswith("}\n")
    assert "é" in written
    (entry,) = json.loads(written)["log"]["entries"]
    assert (entry["startedDateTime"], entry["time"]) == ("1970-01-01T00:00:00.000Z", 0)
    assert entry["response"]["statusText"] == "Found"
    assert entry["request"]["queryString"] == [{"name": "grant_type", "value": "client_credentials"}]
