"""The recordings keep the contract, say where they come from, and hold no credentials."""

import io
import json
import re
from collections import Counter
from datetime import datetime

from domo_oauth.contract import contract, har, recordings, verify

from .conftest import the

REQUIRED = {  # by HAR 1.2, sections log to timings
    "": {"version", "creator", "entries"},
    "creator": {"name", "version"},
    "entries": {"startedDateTime", "time", "request", "response", "cache", "timings"},
    "request": {"method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"},
    "response": {
        *(
            "status",
            "statusText",
            "httpVersion",
            "cookies",
            "headers",
            "content",
            "redirectURL",
            "headersSize",
            "bodySize",
        )
    },
    "content": {"size", "mimeType"},
    "timings": {"send", "wait", "receive"},
    "headers": {"name", "value"},
    "queryString": {"name", "value"},
}


def log_of(path):
    return json.loads(path.read_text(encoding="utf-8"))["log"]


def objects(name, node):
    """Every object in the document, with the name of its member."""
    if isinstance(node, list):
        for item in node:
            yield from objects(name, item)
    if isinstance(node, dict):
        yield name, node
        for member, value in node.items():
            yield from objects(member, value)


def test_every_recording_keeps_the_contract():
    out = io.StringIO()
    assert verify(recordings(), out=out) == 0, out.getvalue()
    assert out.getvalue().count("1 exchange checked: 0 errors") == len(recordings())
    unknown = [line for line in out.getvalue().splitlines() if ": unknown field: " in line]
    assert [line.partition("entry 1: ")[2] for line in unknown] == [
        "unknown field: response.body.env: the contract does not name this field"
    ]


def test_every_recording_is_har_1_2_and_written_as_we_write_it(recording):
    log = log_of(recording)
    for name, node in objects("", log):
        assert REQUIRED.get(name, set()) <= set(node), name
    assert log["version"] == "1.2"
    (entry,) = log["entries"]
    assert datetime.fromisoformat(entry["startedDateTime"]).tzinfo
    content = entry["response"]["content"]
    assert content["size"] == len(content["text"].encode())
    assert recording.read_text(encoding="utf-8") == json.dumps({"log": log}, indent=2, ensure_ascii=False) + "\n"


def test_nothing_derived_looks_recorded_nor_the_other_way_round(recording):
    log = log_of(recording)
    provenance, (entry,) = log["_provenance"], log["entries"]
    kind = provenance["kind"]
    assert kind in ("recorded", "derived")
    assert recording.name.startswith(f"{kind}-")
    assert log["creator"]["name"] == f"domo-oauth ({kind})"
    assert [word for word in ("recorded", "derived", "sandbox") if f"({word})" in log["comment"]] == [kind]
    assert provenance["source"]
    assert (entry["startedDateTime"] == har.NEVER) == (kind == "derived")
    assert entry["time"] == 0
    for name in ("parts", "recorded_by", "when"):
        assert bool(provenance.get(name)) is (kind == "recorded")
    assert ("Never seen from Domo" in log["comment"]) is (kind == "derived")


def test_status_and_body_are_those_of_the_contracts_example(recording):
    exchange, provenance = the(recording.stem), log_of(recording)["_provenance"]
    name = provenance.get("example")
    responses = contract()["paths"]["/oauth/token"]["get"]["responses"]
    statuses = [
        status
        for status, response in responses.items()
        for example in response["content"]["application/json"]["examples"].values()
        if example["$ref"].endswith(f"/{name}")
    ]
    assert statuses == ([str(exchange.status)] if name else [])
    if name:
        example = contract()["components"]["examples"][name]
        assert json.loads(exchange.response_body) == example["value"]
        assert provenance["kind"] == example["x-provenance"]["kind"]
    else:
        assert exchange.response_body == b""


def test_every_example_has_a_recording():
    recorded = Counter(log_of(path)["_provenance"].get("example") for path in recordings())
    assert recorded == dict.fromkeys(contract()["components"]["examples"], 1) | {None: 1}


def test_no_credentials(recording):
    text = recording.read_text(encoding="utf-8")
    for value in re.findall(r'"name": "Authorization",\s*"value": "([^"]*)"', text):
        assert value == "Basic [redacted]"
    assert not re.search(r"Basic (?!realm=)[A-Za-z0-9+/]{4}", text)


def test_the_quickstart_keeps_its_doubled_headers():
    headers = Counter(name for name, _ in the("recorded-2017-quickstart").response_headers)
    assert {name for name, count in headers.items() if count == 2} == {"Cache-Control", "Pragma"}
