"""Any HAR may be given to be verified: what is reported, and with which status."""

import base64
import io
import json
from dataclasses import replace

import pytest

from domo_oauth.contract import HarError, read_har, recordings, verify

OTHER_URLS = [
    "https://api.domo.com/v1/datasets",
    "https://auth.example.com/oauth/token",  # of another service, with the same path
    "wss://api.domo.com/",
    "data:,",
    "http://[::1",
]


def verified(*files, strict=False):
    out = io.StringIO()
    return verify(files, strict=strict, out=out), out.getvalue()


def test_a_clean_file_has_one_line(page, write_har):
    har = write_har(page)
    assert verified(har) == (0, f"{har}: 1 exchange checked, 0 faults, 0 news\n")


def test_a_fault_has_its_file_entry_place_and_expectation(page, write_har):
    har = write_har(page, replace(page, url=page.url + "&scope=data,user"))
    status, output = verified(har)
    assert status == 1
    fault, summary = output.splitlines()
    assert fault.startswith(f"{har}: entry 2: fault: request.query.scope: expected a string that matches ^(account|")
    assert fault.endswith('; found "data,user"')
    assert summary == f"{har}: 2 exchanges checked, 1 fault, 0 news"


def test_news_is_said_and_is_a_fault_if_strict():
    (guide,) = [path for path in recordings() if path.stem == "recorded-2026-guide"]
    status, output = verified(guide)
    assert (status, output.splitlines()[0].partition(": ")[2]) == (
        0,
        "entry 1: news: response.body.env: the contract does not name this field",
    )
    status, output = verified(guide, strict=True)
    assert (status, "entry 1: fault: response.body.env:" in output) == (1, True)


@pytest.mark.parametrize("url", OTHER_URLS)
def test_other_exchanges_are_passed_over_and_said(page, write_har, url):
    har = write_har(replace(page, url=url, status=500), page)
    status, output = verified(har)
    assert (status, output) == (
        0,
        f"{har}: 1 exchange checked, 0 faults, 0 news; 1 other exchange passed over\n",
    )


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost", "[::1]:8765", "127.1.2.3"])
def test_a_sandbox_is_held_to_the_contract(page, write_har, host):
    har = write_har(replace(page, url=f"http://{host}/oauth/token"))
    assert verified(har)[0] == 1


def test_the_preflight_of_a_browser_is_passed_over(page, write_har):
    asked = (("Origin", "https://developer.domo.com"), ("Access-Control-Request-Method", "GET"))
    preflight = replace(page, method="OPTIONS", request_headers=asked, status=204, response_body=b"")
    har = write_har(preflight, page)
    assert verified(har) == (0, f"{har}: 1 exchange checked, 0 faults, 0 news; 1 other exchange passed over\n")
    assert verified(write_har(replace(preflight, request_headers=()), page))[0] == 1


def test_a_name_from_a_foreign_file_stays_in_its_line_and_can_be_printed(page, write_har):
    names = r'"a\nb": 1, "\u001b[31m": 2, "\ud800": 3, "\u00e9": 4, '
    body = (page.response_body or b"").replace(b"{", b"{" + names.encode(), 1)
    status, output = verified(write_har(replace(page, url=f"{page.url}&c%0Ad=1", response_body=body)))
    assert status == 0
    assert [line.split(": ")[3] for line in output.splitlines()[:-1]] == [
        r"request.query.c\nd",
        *(rf"response.body.{name}" for name in (r"a\nb", r"\x1b[31m", r"\ud800", r"\xe9")),
    ]


def test_a_har_without_an_exchange_of_the_contract_is_not_verified(page, write_har):
    har = write_har(replace(page, url=OTHER_URLS[0]))
    expected = f"{har}: no exchange of the contract, nothing checked; 1 other exchange passed over\n"
    assert verified(har) == (1, expected)


def test_nothing_verifies_nothing():
    assert verified() == (1, "")


def test_one_bad_file_among_good_ones_decides(page, write_har, tmp_path):
    status, output = verified(tmp_path / "missing.har", write_har(page))
    assert status == 1
    assert output.splitlines()[0] == f"{tmp_path / 'missing.har'}: cannot be read: No such file or directory"
    assert "1 exchange checked" in output


NOT_HAR = {
    "empty": (b"", "not JSON in UTF-8"),
    "HTML": (b"<html>", "not JSON in UTF-8"),
    "Latin-1": (b'"\xe9"', "not JSON in UTF-8"),
    "nested": (b"[" * 100_000, "not JSON in UTF-8"),
    "array": (b"[]", "expected the whole to be an object"),
    "no log": (b"{}", "expected log to be an object"),
    "no entries": (b'{"log": {}}', "expected log.entries to be an array"),
    "entries an object": (b'{"log": {"entries": {}}}', "expected log.entries to be an array"),
    "an entry null": (b'{"log": {"entries": [null]}}', "expected log.entries.0 to be an object"),
    "no request": (b'{"log": {"entries": [{}]}}', "expected log.entries.0.request to be an object"),
    "parts": (b'{"log": {"entries": [], "_provenance": {"parts": "all"}}}', "_provenance.parts to be an array"),
}


@pytest.mark.parametrize(("content", "message"), NOT_HAR.values(), ids=NOT_HAR)
def test_what_is_not_a_har_is_said_in_one_line(tmp_path, content, message):
    file = tmp_path / "not.har"
    file.write_bytes(content)
    status, output = verified(file)
    assert status == 1
    assert output.startswith(f"{file}: is not a HAR: ")
    assert output.endswith(f"{message}\n")
    assert output.count("\n") == 1


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("request.method", None, "request.method to be a string"),
        ("request.url", 7, "request.url to be a string"),
        ("request.headers", "x", "request.headers to be an array"),
        ("response.headers", [{}], r"response.headers.0.name to be a string"),
        ("response.status", "200", "response.status to be an integer"),
        ("response.content", None, "response.content to be an object"),
        ("response.content", {"text": None}, "response.content.text to be a string"),
        ("response.content", {"text": "é", "encoding": "base64"}, "response.content.text to be base64"),
    ],
)
def test_a_broken_entry_is_named(page, write_har, place, value, message):
    har = write_har(page)
    document = json.loads(har.read_text())
    message_name, _, name = place.partition(".")
    document["log"]["entries"][0][message_name][name] = value
    har.write_text(json.dumps(document))
    with pytest.raises(HarError, match=rf"expected log\.entries\.0\.{message}"):
        read_har(har)


@pytest.mark.parametrize(
    ("content", "body"),
    [
        ({"text": "é"}, "é".encode()),
        ({"text": "\ufeff{}"}, b"\xef\xbb\xbf{}"),
        ({"text": base64.b64encode(b"\xff").decode(), "encoding": "base64"}, b"\xff"),
        ({"text": ""}, b""),
        ({"size": 0}, b""),
        ({"size": 7}, None),
        ({}, None),
    ],
)
def test_the_forms_of_a_body(page, write_har, content, body):
    har = write_har(page)
    document = json.loads(har.read_text())
    document["log"]["entries"][0]["response"]["content"] = content
    har.write_text(json.dumps(document))
    (exchange,) = read_har(har).exchanges
    assert exchange.response_body == body


def test_a_browsers_har_with_odd_headers(page, write_har):
    har = write_har(replace(page, response_headers=(*page.response_headers, ("set-cookie", "a=1\nb=2"))))
    assert verified(har)[0] == 0


def test_the_content_of_a_request_is_read(page, write_har):
    har = write_har(replace(page, method="POST"))
    document = json.loads(har.read_text())
    document["log"]["entries"][0]["request"]["postData"] = {"text": "grant_type=client_credentials"}
    har.write_text(json.dumps(document))
    assert read_har(har).exchanges[0].request_body == b"grant_type=client_credentials"
    status, output = verified(har)
    assert status == 1
    assert 'fault: request.method: expected GET; found "POST"' in output


@pytest.mark.parametrize("place", ["postData", "_provenance"])
def test_null_stands_for_what_is_not_there(page, write_har, place):
    har = write_har(page)
    document = json.loads(har.read_text())
    holder = document["log"]["entries"][0]["request"] if place == "postData" else document["log"]
    holder[place] = None
    har.write_text(json.dumps(document))
    assert verified(har) == (0, f"{har}: 1 exchange checked, 0 faults, 0 news\n")


def test_a_recording_of_which_nothing_was_kept_is_not_verified(page, write_har):
    status, output = verified(write_har(page, _provenance={"kind": "recorded", "parts": []}))
    assert status == 1
    assert output.endswith("; but nothing of this recording was kept, so nothing is checked\n")


def test_of_a_recording_only_what_was_kept_is_checked(page, write_har):
    broken = replace(page, response_headers=(("Content-Type", "application/json"),), response_body=b"{}")
    only_headers = {"kind": "recorded", "parts": ["response.headers"]}
    status, output = verified(write_har(broken, _provenance=only_headers))
    assert status == 1
    assert "response.headers.Cache-Control: required" in output
    assert "response.body" not in output
    assert "only response.headers was kept" in output
    status, output = verified(write_har(broken, _provenance={**only_headers, "kind": "derived"}))
    assert "response.body.access_token: required" in output
