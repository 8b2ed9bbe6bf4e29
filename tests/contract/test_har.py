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
