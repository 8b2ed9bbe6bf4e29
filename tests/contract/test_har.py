"""Exchanges written as HAR come back as they were."""

import json

import pytest

from domo_oauth.contract import Exchange, har_text, read_har

EXCHANGES = {
    "nothing but a request": Exchange("GET", "https://api.domo.com/oauth/token?scope=data+user&scope="),
    "doubled headers": Exchange(
        "GET", "http://localhost/", (("Accept", "a"), ("Accept", "b")), b"", 200, (("B", "1"), ("B", "1")), b"{}"
    ),
    "content both ways": Exchange(
        "POST",
        "http://localhost/",
        (("Content-Type", "application/x-www-form-urlencoded"),),
        b"grant_type=client_credentials",
        302,
        (("Location", "/elsewhere"),),
        '\ufeff{"é": "\\r\\n"}'.encode(),
    ),
    "an unknown status, and no text": Exchange("GET", "http://localhost/", status=599, response_body=b"\xff\x00"),
    "an empty body": Exchange("GET", "http://localhost/", status=204, response_body=b""),
}


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)
def test_there_and_back(tmp_path, exchange):
    file = tmp_path / "there.har"
    text = har_text(exchange, comment="made up", provenance={"kind": "derived", "source": "a test"}, version="1.0.0")
    file.write_text(text, encoding="utf-8")
    recording = read_har(file)
    assert recording.exchanges == (exchange,)
    assert recording.provenance == {"kind": "derived", "source": "a test"}


def test_the_whole_of_a_har():
    text = har_text(
        EXCHANGES["content both ways"],
        comment="made up",
        provenance={"kind": "derived", "source": "a test"},
        version="1.0.0",
        started="2026-11-25T12:00:00.000Z",
        milliseconds=12.5,
    )
    assert text.startswith('{\n  "log": {\n    "version": "1.2",')
    assert text.endswith("}\n")
    assert "é" in text
    form = "application/x-www-form-urlencoded"
    request = {
        "method": "POST",
        "url": "http://localhost/",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": [{"name": "Content-Type", "value": form}],
        "queryString": [],
        "headersSize": -1,
        "bodySize": 29,
        "postData": {"mimeType": form, "params": [], "text": "grant_type=client_credentials"},
    }
    response = {
        "status": 302,
        "statusText": "Found",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": [{"name": "Location", "value": "/elsewhere"}],
        "content": {"size": 17, "mimeType": "", "text": '\ufeff{"é": "\\r\\n"}'},
        "redirectURL": "/elsewhere",
        "headersSize": -1,
        "bodySize": -1,
    }
    assert json.loads(text) == {
        "log": {
            "version": "1.2",
            "creator": {"name": "domo-oauth (derived)", "version": "1.0.0"},
            "comment": "made up",
            "_provenance": {"kind": "derived", "source": "a test"},
            "entries": [
                {
                    "startedDateTime": "2026-11-25T12:00:00.000Z",
                    "time": 12.5,
                    "request": request,
                    "response": response,
                    "cache": {},
                    "timings": {"send": 0, "wait": 12.5, "receive": 0},
                }
            ],
        }
    }


def test_what_is_there_of_a_body(tmp_path):
    contents = []
    for name in ("nothing but a request", "an empty body", "an unknown status, and no text"):
        text = har_text(EXCHANGES[name], comment="", provenance={"kind": "derived"}, version="1")
        contents.append(json.loads(text)["log"]["entries"][0]["response"]["content"])
    assert contents == [
        {"size": -1, "mimeType": ""},
        {"size": 0, "mimeType": "", "text": ""},
        {"size": 2, "mimeType": "", "text": "/wA=", "encoding": "base64"},
    ]


def test_what_never_took_place_has_the_time_of_nothing():
    text = har_text(EXCHANGES["an empty body"], comment="", provenance={"kind": "derived"}, version="1")
    (entry,) = json.loads(text)["log"]["entries"]
    assert (entry["startedDateTime"], entry["time"]) == ("1970-01-01T00:00:00.000Z", 0)


def test_the_query_and_the_redirect_are_named():
    entry = json.loads(
        har_text(EXCHANGES["content both ways"], comment="", provenance={"kind": "derived"}, version="1")
    )
    (entry,) = entry["log"]["entries"]
    assert entry["response"]["redirectURL"] == "/elsewhere"
    assert entry["response"]["statusText"] == "Found"
    entry = json.loads(
        har_text(EXCHANGES["nothing but a request"], comment="", provenance={"kind": "derived"}, version="1")
    )
    assert entry["log"]["entries"][0]["request"]["queryString"] == [
        {"name": "scope", "value": "data user"},
        {"name": "scope", "value": ""},
    ]
