"""Recordings keep the contract, match its examples, name their source, hold no secrets, and our clients read them."""

import io
import json
import re
from collections import Counter
from datetime import datetime

import httpx
import pytest

from domo_oauth import ClientCredentials, errors, request_token
from domo_oauth.contract import contract, har, har_text, recordings, verify
from domo_oauth_client import models

from .conftest import page, recorded

RESPONSES = contract()["paths"]["/oauth/token"]["get"]["responses"]
EXAMPLES = contract()["components"]["examples"]
USES = {  # the status and the schema of each example
    example["$ref"].rpartition("/")[2]: (int(status), content["schema"]["$ref"].rpartition("/")[2])
    for status, content in ((status, each["content"]["application/json"]) for status, each in RESPONSES.items())
    for example in content["examples"].values()
}
BY_STATUS = {401: errors.InvalidClientError, 429: errors.RateLimitedError}
BY_ERROR = {"invalid_scope": errors.InvalidScopeError, "unauthorized_client": errors.InvalidClientError}


def log_of(path):
    return json.loads(path.read_text(encoding="utf-8"))["log"]


def test_every_recording_keeps_the_contract():
    out = io.StringIO()
    assert verify(recordings(), out=out) == 0, out.getvalue()
    assert out.getvalue().count("1 exchange checked: 0 errors") == len(recordings())
    unknown = [line for line in out.getvalue().splitlines() if ": unknown field: " in line]
    assert {line.partition("unknown field: ")[2].partition(":")[0] for line in unknown} == {"response.body.env"}


def test_every_recording_is_written_as_har_text_writes_it(recording):
    log = log_of(recording)
    started = log["entries"][0]["startedDateTime"]
    args = {"comment": log["comment"], "provenance": log["_provenance"], "started": started}
    written = json.loads(har_text(recorded(recording.stem), **args))["log"]
    written["creator"]["version"] = log["creator"]["version"]
    assert recording.read_text(encoding="utf-8") == json.dumps({"log": written}, indent=2, ensure_ascii=False) + "\n"
    assert datetime.fromisoformat(started).tzinfo


def test_nothing_derived_looks_recorded_nor_the_other_way_round(recording):
    log = log_of(recording)
    provenance, (entry,) = log["_provenance"], log["entries"]
    kind = provenance["kind"]
    assert kind in ("recorded", "observed", "derived")
    assert recording.name.startswith(f"{kind}-")
    assert log["creator"]["name"] == f"domo-oauth ({kind})"
    assert [word for word in ("recorded", "observed", "derived", "sandbox") if f"({word})" in log["comment"]] == [kind]
    assert provenance["source"]
    assert (entry["startedDateTime"] == har.NEVER) == (kind == "derived")
    assert all(bool(provenance.get(name)) is (kind == "observed") for name in ("framework", "version", "changed"))
    for name in ("parts", "recorded_by"):
        assert bool(provenance.get(name)) is (kind == "recorded")
    assert bool(provenance.get("when")) is (kind != "derived")
    assert ("Never seen from Domo" in log["comment"]) is (kind != "recorded")


def test_status_and_body_are_those_of_the_contracts_example(recording):
    exchange, provenance = recorded(recording.stem), log_of(recording)["_provenance"]
    if "example" not in provenance:
        assert provenance["kind"] == "observed"
        return
    example = EXAMPLES[provenance["example"]]
    assert exchange.status == USES[provenance["example"]][0]
    assert json.loads(exchange.response_body) == example["value"]
    assert provenance["kind"] == example["x-provenance"]["kind"]


def test_nothing_is_derived_that_could_be_observed():
    derived = {name for name, example in EXAMPLES.items() if example["x-provenance"]["kind"] == "derived"}
    by_nobody = {name for name, (status, _) in USES.items() if status in {429, 502, 503, 504}}
    assert derived == by_nobody | {name for name, example in EXAMPLES.items() if "toe" in example["value"]}


def test_every_example_has_a_recording():
    examples = Counter(log_of(path)["_provenance"].get("example") for path in recordings())
    del examples[None]
    assert examples == dict.fromkeys(EXAMPLES, 1)


def test_no_credentials(recording):
    text = recording.read_text(encoding="utf-8")
    for value in re.findall(r'"name": "Authorization",\s*"value": "([^"]*)"', text):
        assert value == "Basic [redacted]"
    assert not re.search(r"Basic (?!realm=)[A-Za-z0-9+/]{4}", text)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_generated_client_reads_every_example(name):
    value = EXAMPLES[name]["value"]
    assert getattr(models, USES[name][1]).from_dict(value).to_dict() == value


def test_the_wrapper_reads_every_recording(recording):
    exchange = recorded(recording.stem)
    value = json.loads(exchange.response_body or b"{}")
    headers = [each for each in exchange.response_headers if each[0] != "Content-Encoding"]  # HAR holds plain bodies
    answer = httpx.Response(exchange.status, headers=headers, content=exchange.response_body)
    args = {"transport": httpx.MockTransport(lambda _: answer)}
    if exchange.status == 200:
        token = request_token(ClientCredentials("id", "secret"), httpx_args=args)
        assert (token.access_token, token.expires_in) == (value["access_token"], value["expires_in"])
        return
    with pytest.raises(errors.TokenRequestError) as caught:
        request_token(ClientCredentials("id", "secret"), httpx_args=args)
    by_status = errors.ServerError if exchange.status >= 500 else errors.TokenRequestError
    assert type(caught.value) is BY_ERROR.get(value.get("error"), BY_STATUS.get(exchange.status, by_status))
    assert (caught.value.status, caught.value.error) == (exchange.status, value.get("error"))
    assert caught.value.toe == value.get("toe")


def test_the_page_has_all_headers_of_the_contract():
    components = contract()["components"]["headers"]
    named = {
        name: components[header["$ref"].rpartition("/")[2]]["schema"]["example"]
        for name, header in RESPONSES["200"]["headers"].items()
    }
    assert named | {"Content-Type": "application/json;charset=utf-8"} == dict(page().response_headers)
