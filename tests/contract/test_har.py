"""HAR files as exporters write them: other entries are skipped, and what was not kept is not checked."""

import base64
import io
import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domo_oauth.contract import Exchange, HarError, har_text, read_har, recordings, verify

from .conftest import BASIC, REMOVED, URL, merged, page

CHECKED = "1 exchange checked: 0 errors, 0 unknown fields"
UNCHECKED = "0 exchanges checked: 0 errors, 0 unknown fields"
NO_RESPONSE = ["entry 1: not checked: no response"]
EXCHANGE = page(sent={"Authorization": BASIC})
TEXT = EXCHANGE.response_body.decode()
ENTRY = json.loads(har_text(EXCHANGE, comment="", provenance={"kind": "derived"}))["log"]["entries"][0]


def missing(place):
    return [f"entry 1: not checked: {place}: not kept"]


def not_json(message):
    return [f"entry 1: error: response.body: expected JSON (RFC 8259): {message}"]


def request(**members):
    return {"request": members}


def response(**members):
    return {"response": members}


def content(**members):
    return response(content=members)


def lines(**headers):
    return [{"name": name.replace("_", "-"), "value": value} for name, value in headers.items()]


PSEUDO = {":authority": "api.domo.com", ":method": "GET", ":path": "/oauth/token", ":scheme": "https"}
LENGTH = lines(Content_Length="300", Cache_Control="no-store", Content_Type="application/json")
ENTRIES = {
    "as it is": ({}, []),
    "Chrome": (
        merged(request(headers=lines(**PSEUDO, authorization=BASIC)), response(_error=None, _transferSize=1200)),
        [],
    ),
    "sanitized by Chrome": (
        request(headers=lines(accept="application/json"), cookies=[]),
        missing("request.headers.Authorization"),
    ),
    "masked by hand": (
        request(headers=lines(Authorization="REDACTED")),
        ["entry 1: not checked: request.headers.Authorization: redacted"],
    ),
    "body in base64": (content(text=base64.b64encode(TEXT.encode()).decode(), encoding="base64"), []),
    "body in broken base64": (content(text="eyJ", encoding="base64"), missing("response.body")),
    "no sizes and no media type": (content(size=REMOVED, mimeType=REMOVED), []),
    "no text": (content(text=REMOVED), missing("response.body")),
    "text is null": (content(text=None), missing("response.body")),
    "text is empty, and its size is not": (content(text="", size=-1), missing("response.body")),
    "size is 0, and Content-Length is not": (
        response(headers=LENGTH, content={"text": "", "size": 0}),
        missing("response.body"),
    ),
    "empty body": (content(text=REMOVED, size=0), not_json("Expecting value: line 1 column 1 (char 0)")),
    "body in a separate file": (content(text=REMOVED, size=-1, _file="0a.json"), missing("response.body")),
    "no content": (response(content=None), missing("response.body")),
    "aborted in the body": (response(_error="net::ERR_ABORTED"), missing("response.body")),
    "no response headers": (response(headers=REMOVED), missing("response.headers")),
    "request headers are not a list": (request(headers="x"), missing("request.headers.Authorization")),
    "odd headers": (request(headers=[None, {}, 7, *lines(X=None, Authorization=BASIC)]), []),
    "no method": (request(method=None), missing("request")),
    "body of a request": (
        request(postData={"text": "x=y"}),
        ["entry 1: unknown field: request.body: expected none; found 3 bytes"],
    ),
    "sign-in page without response headers": (
        response(headers=[], content={"text": "<p>Sign in"}),
        not_json("Expecting value: line 1 column 1 (char 0)") + missing("response.headers"),
    ),
    "no response": ({"response": REMOVED}, NO_RESPONSE),
    "pending": (response(status=0), NO_RESPONSE),
    "status is a string": (response(status="200"), NO_RESPONSE),
    "no response in Playwright": (response(status=-1, headers=[], _failureText="net::ERR_FAILED"), NO_RESPONSE),
}


@pytest.mark.parametrize(("patch", "lines"), ENTRIES.values(), ids=ENTRIES)
def test_an_entry_of_the_contract(verified, patch, lines):
    errors, unknown = (sum(f": {kind}: " in line for line in lines) for kind in ("error", "unknown field"))
    status, output = verified(merged(ENTRY, patch))
    assert output[:-1] == lines
    assert output[-1].startswith(f"{int(lines != NO_RESPONSE)} exchange")
    assert f" checked: {errors} error" in output[-1]
    assert f", {unknown} unknown field" in output[-1]
    assert status == int(errors > 0 or lines == NO_RESPONSE)


OTHER_URLS = [
    "https://api.domo.com/v1/datasets",
    "https://auth.example.com/oauth/token",  # another service with the same path
    *("wss://api.domo.com/", "http://[::1", "https://[redacted]/oauth/token", "", None, 7),
]
ODD = {
    **{repr(odd): odd for odd in (None, 7, {}, {"request": None, "response": None})},
    **{f"to {url}": {"request": {"url": url, "method": "GET", "headers": None}, "response": []} for url in OTHER_URLS},
    "preflight": {"request": {"url": URL, "method": "OPTIONS"}},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_any_other_entry_is_skipped(verified, odd):
    assert verified(odd, ENTRY) == (0, [f"{CHECKED}; 1 of other sites skipped"])
    assert verified(odd) == (1, [f"{UNCHECKED}; 1 of other sites skipped"])


def test_a_number_of_more_digits_than_python_reads_makes_its_entry_odd(tmp_path):
    text = json.dumps({"log": {"entries": [merged(ENTRY, response(status=-77)), ENTRY]}})
    (tmp_path / "x.har").write_text(text.replace("-77", "7" * 5000), encoding="utf-8")
    statuses = {number: exchange.status for number, exchange in read_har(tmp_path / "x.har").exchanges.items()}
    assert statuses == {1: 0, 2: 200}


def test_strict_fails_on_an_unknown_field(verified):
    entry = merged(ENTRY, request(url=f"{ENTRY['request']['url']}&x=1"))
    lines = [
        "entry 1: unknown field: request.query.x: the contract does not name this parameter",
        "1 exchange checked: 0 errors, 1 unknown field",
    ]
    assert verified(entry) == (0, lines)
    assert verified(entry, strict=True) == (1, lines)


@pytest.mark.parametrize("host", ["localhost", "[::1]:8765", "127.1.2.3"])
def test_a_sandbox_has_to_keep_the_contract(verified, host):
    assert verified(merged(ENTRY, request(url=f"http://{host}/oauth/token")))[0] == 1


PLACES = ["request", "response.status", "response.headers", "response.body"]


@pytest.mark.parametrize(
    ("parts", "places"),
    [(["response"], PLACES[:1]), (["response.body"], PLACES[:3]), (["request", "response"], []), ([], PLACES)],
)
def test_only_what_was_seen_of_a_recording_is_checked(verified, parts, places):
    status, output = verified(ENTRY, _provenance={"kind": "recorded", "parts": parts})
    assert output[:-1] == [f"entry 1: not checked: {place}: not kept" for place in places]
    assert (status, output[-1]) == (int(places == PLACES), f"{UNCHECKED if places == PLACES else CHECKED} (recorded)")
    assert verified(ENTRY, _provenance={"kind": "derived", "parts": parts}) == (0, [f"{CHECKED} (derived)"])


NOT_HAR = {
    "HTML": (b"<html>", "it is not JSON"),
    "Latin-1": (b'"\xe9"', "it is not JSON"),
    "nested": (b"[" * 100_000, "it is not JSON"),
    "array": (b"[]", "it has no list at log.entries"),
    "entries an object": (b'{"log": {"entries": {}}}', "it has no list at log.entries"),
}


@pytest.mark.parametrize(("content", "message"), NOT_HAR.values(), ids=NOT_HAR)
def test_a_file_that_is_not_a_har_file(tmp_path, content, message):
    (tmp_path / "x.har").write_bytes(content)
    with pytest.raises(HarError, match=f"^is not a HAR file: {message}$"):
        read_har(tmp_path / "x.har")


def test_one_bad_file_makes_verify_fail(tmp_path):
    out = io.StringIO()
    assert verify([tmp_path / "no\x1b\n\udc80.har", recordings()[0]], out=out) == 1
    assert out.getvalue().startswith(f"{tmp_path}/no .har: cannot be read: No such file or directory\n")
    assert "1 exchange checked" in out.getvalue()
    assert verify([], out=out) == 1


# Properties

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


@given(document=objects(log=logs))
def test_any_json_gives_plain_lines(tmp_path, document):
    (tmp_path / "x.har").write_text(json.dumps(document), encoding="utf-8")
    out = io.StringIO()
    assert verify([tmp_path / "x.har"], out=out) in {0, 1}
    assert set(out.getvalue()) <= {*string.printable} - {"\r", "\x0b", "\x0c"}


pairs = st.lists(st.tuples(text.filter(bool), text), max_size=3).map(tuple)
bodies = st.sampled_from([(b"", ("response.body",))]) | st.tuples(text.map(str.encode), st.just(()))
exchanges = st.builds(
    lambda url, sent, status, received, body: Exchange("GET", url, sent, b"", status, received, *body),
    st.sampled_from([URL, f"{URL}?scope=data+user&scope="]),
    pairs.map(lambda pairs: (("Authorization", BASIC), *pairs)),
    st.integers(1, 999),
    pairs.map(lambda pairs: (("Content-Type", "text/plain"), *pairs)),
    bodies,
)


@given(exchange=exchanges)
def test_an_exchange_comes_back_from_a_har_file(tmp_path, exchange):
    provenance = {"kind": "derived", "source": "a test"}
    (tmp_path / "x.har").write_text(har_text(exchange, comment="é", provenance=provenance), encoding="utf-8")
    recording = read_har(tmp_path / "x.har")
    assert recording.exchanges == {1: exchange}
    assert (recording.others, recording.provenance) == (0, provenance)
