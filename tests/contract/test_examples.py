"""The contract's examples keep their schemas, say where they come from, and can be read by the generated client."""

import pytest
from openapi_schema_validator import OAS30ReadValidator

from domo_oauth.contract import contract
from domo_oauth_client import models

OPERATION = contract()["paths"]["/oauth/token"]["get"]
NAMED = {
    f"{parameter['name']}.{name}": example
    for parameter in OPERATION["parameters"]
    for name, example in parameter["examples"].items()
}
NAMED |= contract()["components"]["examples"]


def used_in(name):
    """The statuses and schemas of the responses that show this example."""
    contents = [
        (status, response["content"]["application/json"]) for status, response in OPERATION["responses"].items()
    ]
    return [
        (status, content["schema"]["$ref"].rpartition("/")[2])
        for status, content in contents
        for reference in content["examples"].values()
        if reference["$ref"].endswith(f"/{name}")
    ]


def with_example(place, node):
    """Every schema that has an example of its own."""
    if isinstance(node, dict) and {"type", "example"} <= node.keys():
        yield pytest.param(node, id=place)
    for key, value in node.items() if isinstance(node, dict) else ():
        yield from with_example(f"{place}/{key}", value)


@pytest.mark.parametrize("name", contract()["components"]["examples"])
def test_it_keeps_the_schema_of_its_response_and_the_client_reads_it(name):
    content = NAMED[name]
    ((status, schema),) = used_in(name)
    OAS30ReadValidator(contract()["components"]["schemas"][schema]).validate(content["value"])
    assert getattr(models, schema).from_dict(content["value"]).to_dict() == content["value"]
    assert (content["x-provenance"]["kind"] == "derived") == (status != "200")


@pytest.mark.parametrize("named", NAMED.values(), ids=NAMED)
def test_its_summary_ends_with_where_it_comes_from(named):
    provenance = named["x-provenance"]
    assert provenance["kind"] in ("documented", "recorded", "derived")
    assert provenance["source"]
    assert named["summary"].endswith(f" ({provenance['kind']})")


@pytest.mark.parametrize("schema", list(with_example("", contract()["components"])))
def test_the_example_in_a_schema_keeps_it(schema):
    OAS30ReadValidator(schema).validate(schema["example"])


def test_the_examples_of_parameters_keep_their_schemas():
    for parameter in OPERATION["parameters"]:
        for example in (
            *parameter["examples"].values(),
            {"value": parameter["schema"].get("example", "client_credentials")},
        ):
            OAS30ReadValidator(parameter["schema"]).validate(example["value"])


def test_the_response_on_the_page_has_all_headers_of_the_contract(page):
    named, components = OPERATION["responses"]["200"]["headers"], contract()["components"]["headers"]
    examples = {
        name: components[header["$ref"].rpartition("/")[2]]["schema"]["example"] for name, header in named.items()
    }
    assert examples | {"Content-Type": "application/json;charset=utf-8"} == dict(page.response_headers)
