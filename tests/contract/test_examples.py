"""The contract's examples: each keeps its schema, says where it comes from, and is what the generated client reads."""

import pytest
from openapi_schema_validator import OAS30ReadValidator

from domo_oauth.contract import contract
from domo_oauth_client import models

KINDS = ("documented", "recorded", "derived")


def schema_name(name):
    for status, response in contract()["paths"]["/oauth/token"]["get"]["responses"].items():
        media_type = response["content"]["application/json"]
        if any(reference["$ref"].endswith(f"/{name}") for reference in media_type["examples"].values()):
            return status, media_type["schema"]["$ref"].rpartition("/")[2]
    return None


def all_examples():
    """Every named example, of bodies and of parameters."""
    for parameter in contract()["paths"]["/oauth/token"]["get"]["parameters"]:
        for name, example in parameter["examples"].items():
            yield f"{parameter['name']}.{name}", example
    yield from contract()["components"]["examples"].items()


def schema_examples():
    """Every schema with an example of its own, wherever it is."""
    waiting = [("", contract())]
    while waiting:
        place, node = waiting.pop()
        if isinstance(node, dict):
            if "type" in node and "example" in node:
                yield place, node
            waiting.extend((f"{place}/{key}", value) for key, value in node.items())
        elif isinstance(node, list):
            waiting.extend((f"{place}/{number}", value) for number, value in enumerate(node))


def test_it_keeps_its_schema(example):
    name, content = example
    _, schema = schema_name(name)
    OAS30ReadValidator(contract()["components"]["schemas"][schema]).validate(content["value"])


def test_it_is_used_once(example):
    assert schema_name(example[0]) is not None


def test_the_generated_client_reads_it_into_equal_values(example):
    name, content = example
    _, schema = schema_name(name)
    assert getattr(models, schema).from_dict(content["value"]).to_dict() == content["value"]


@pytest.mark.parametrize(("name", "content"), list(all_examples()), ids=[name for name, _ in all_examples()])
def test_its_summary_ends_with_where_it_comes_from(name, content):
    provenance = content["x-provenance"]
    assert provenance["kind"] in KINDS
    assert provenance["source"]
    assert content["summary"].endswith(f" ({provenance['kind']})")


def test_every_error_is_derived(example):
    name, content = example
    status, _ = schema_name(name)
    assert (content["x-provenance"]["kind"] == "derived") == (status != "200")


@pytest.mark.parametrize(("place", "schema"), list(schema_examples()), ids=[place for place, _ in schema_examples()])
def test_the_example_in_a_schema_keeps_it(place, schema):
    OAS30ReadValidator(schema).validate(schema["example"])


def test_the_examples_of_parameters_keep_their_schemas():
    for parameter in contract()["paths"]["/oauth/token"]["get"]["parameters"]:
        for example in parameter["examples"].values():
            OAS30ReadValidator(parameter["schema"]).validate(example["value"])


def test_the_answer_of_the_page_has_all_its_headers(page):
    named = contract()["paths"]["/oauth/token"]["get"]["responses"]["200"]["headers"]
    assert {name for name, _ in page.response_headers} == {*named, "Content-Type"}
    headers = contract()["components"]["headers"]
    examples = {name: headers[header["$ref"].rpartition("/")[2]]["schema"]["example"] for name, header in named.items()}
    assert examples | {"Content-Type": "application/json;charset=utf-8"} == dict(page.response_headers)
