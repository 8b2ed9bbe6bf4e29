"""The recordings: valid HAR 1.2, within the contract, and each says truly where it comes from."""

import base64
import io
import json
import re
from collections import Counter
from datetime import datetime

import pytest

from domo_oauth.contract import contract, read_har, recordings, verify
from domo_oauth.contract.har import NEVER

KINDS = ("recorded", "derived", "sandbox")
PAIRS = [{"name": str, "value": str}]
HAR = {  # the mandatory fields of HAR 1.2
    "version": str,
    "creator": {"name": str, "version": str},
    "entries": [
        {
            "startedDateTime": str,
            "time": (int, float),
            "request": {
                "method": str,
                "url": str,
                "httpVersion": str,
                "cookies": PAIRS,
                "headers": PAIRS,
                "queryString": PAIRS,
                "headersSize": int,
                "bodySize": int,
            },
            "response": {
                "status": int,
                "statusText": str,
                "httpVersion": str,
                "cookies": PAIRS,
                "headers": PAIRS,
                "content": {"size": int, "mimeType": str},
                "redirectURL": str,
                "headersSize": int,
                "bodySize": int,
            },
            "cache": {},
            "timings": {"send": (int, float), "wait": (int, float), "receive": (int, float)},
        }
    ],
}


def conforms(value, shape, place="log"):
    if isinstance(shape, dict):
        assert isinstance(value, dict), place
        for name, inner in shape.items():
            assert name in value, f"{place}.{name}"
            conforms(value[name], inner, f"{place}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), place
        for number, item in enumerate(value):
            conforms(item, shape[0], f"{place}.{number}")
    else:
        assert isinstance(value, shape), place
        assert not isinstance(value, bool), place


def log_of(path):
    return json.loads(path.read_text(encoding="utf-8"))["log"]


def body_of(path):
    (exchange,) = read_har(path).exchanges
    return exchange.response_body


def test_every_recording_keeps_the_contract(recording):
    out = io.StringIO()
    assert verify([recording], out=out) == 0, out.getvalue()


def test_every_recording_is_har_1_2(recording):
    log = log_of(recording)
    conforms(log, HAR)
    assert log["version"] == "1.2"
    (entry,) = log["entries"]
    assert datetime.fromisoformat(entry["startedDateTime"]).tzinfo
    content = entry["response"]["content"]
    assert content["size"] == len(content["text"].encode())


def test_the_check_of_har_can_fail(recording):
    log = log_of(recording)
    del log["entries"][0]["request"]["queryString"]
    with pytest.raises(AssertionError, match=r"log\.entries\.0\.request\.queryString"):
        conforms(log, HAR)


def test_every_file_is_stable(recording):
    text = recording.read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


def test_nothing_derived_looks_recorded_nor_the_other_way_round(recording):
    log = log_of(recording)
    kind = log["_provenance"]["kind"]
    assert kind in ("recorded", "derived")  # answers of a sandbox are nobody's evidence
    assert recording.name.startswith(f"{kind}-")
    assert log["creator"]["name"] == f"domo-oauth ({kind})"
    assert [word for word in KINDS if f"({word})" in log["comment"]] == [kind]
    assert log["_provenance"]["source"]
    (entry,) = log["entries"]
    assert (entry["startedDateTime"] == NEVER) == (kind == "derived")
    assert entry["time"] == 0  # nobody's was kept
    if kind == "derived":
        assert log["_provenance"]["parts"] == []
        assert not {"recorded_by", "when"} & set(log["_provenance"])
        assert "Never seen from Domo" in log["comment"]
    else:
        assert log["_provenance"]["parts"]
        assert log["_provenance"]["recorded_by"]
        assert log["_provenance"]["when"]


def test_the_body_is_the_contracts_example(recording):
    name = log_of(recording)["_provenance"].get("example")
    if name is None:
        assert body_of(recording) == b""
        return
    example = contract()["components"]["examples"][name]
    assert json.loads(body_of(recording)) == example["value"]
    assert log_of(recording)["_provenance"]["kind"] == example["x-provenance"]["kind"]


def test_the_status_is_that_of_the_contracts_example(recording):
    name = log_of(recording)["_provenance"].get("example", "")
    (exchange,) = read_har(recording).exchanges
    responses = contract()["paths"]["/oauth/token"]["get"]["responses"]
    statuses = [
        status
        for status, response in responses.items()
        for example in response["content"]["application/json"]["examples"].values()
        if example["$ref"].endswith(f"/{name}")
    ]
    assert statuses == ([str(exchange.status)] if name else [])


def test_every_example_has_a_recording():
    recorded = Counter(log_of(path)["_provenance"].get("example") for path in recordings())
    assert recorded == dict.fromkeys(contract()["components"]["examples"], 1) | {None: 1}


def test_no_credentials(recording):
    text = recording.read_text(encoding="utf-8")
    for value in re.findall(r'"name": "Authorization",\s*"value": "([^"]*)"', text):
        assert value == "Basic [redacted]"
    assert not re.search(r"Basic (?!realm=)[A-Za-z0-9+/]{4}", text)
    assert base64.b64encode(b":").decode() not in text


def test_the_quickstart_keeps_its_doubled_headers(the):
    headers = Counter(name for name, _ in the("recorded-2017-quickstart").response_headers)
    assert {name for name, count in headers.items() if count == 2} == {"Cache-Control", "Pragma"}


def test_of_the_guide_only_the_body_is_checked(recording):
    out = io.StringIO()
    verify([recording], out=out)
    assert ("only response.body was kept" in out.getvalue()) == (recording.stem == "recorded-2026-guide")
