"""The contract's surface changes only together with its version; the rules are in tools/surface.py."""

import copy
import json
import shutil
import subprocess
import sys

import pytest
import yaml

from tools.surface import CHANGELOG, CONTRACT, GOLDEN, ROOT, changes, surface, verdict

from .places import answer, error, grant_type, operation, rename, scope, token

DOCUMENT = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
KEPT = json.loads(GOLDEN.read_text(encoding="utf-8"))
VERSION = DOCUMENT["info"]["version"]
NEXT = f"{int(VERSION.split('.')[0]) + 1}.0.0"


def test_contract_is_what_was_kept():
    found = verdict(KEPT, DOCUMENT, CHANGELOG.read_text(encoding="utf-8"))
    if str(found):
        pytest.fail(str(found), pytrace=False)


def headers(d):
    return d["components"]["headers"]


def schemes(d):
    return d["components"]["securitySchemes"]


def shared_parameter(d):
    d["paths"]["/oauth/token"]["parameters"] = [{"name": "instance", "in": "query", "required": True}]


def renamed_schema(d):
    rename(d["components"]["schemas"], "TokenError", "OAuthError")
    for status in operation(d)["responses"].values():
        content = status["content"]["application/json"]
        if "TokenError" in content["schema"]["$ref"]:
            content["schema"]["$ref"] = "#/components/schemas/OAuthError"


BREAKING = {
    "path renamed": lambda d: rename(d["paths"], "/oauth/token", "/oauth2/token"),
    "method changed": lambda d: rename(d["paths"]["/oauth/token"], "get", "post"),
    "operation id renamed": lambda d: operation(d).update(operationId="requestToken"),
    "tag renamed": lambda d: operation(d).update(tags=["OAuth"]),
    "server replaced": lambda d: d["servers"][0].update(url="https://api2.domo.com"),
    "another server put first": lambda d: d["servers"].insert(0, {"url": "https://eu.domo.com"}),
    "OpenAPI 3.1": lambda d: d.update(openapi="3.1.0"),
    "parameter removed": lambda d: operation(d)["parameters"].pop(),
    "parameter renamed": lambda d: scope(d).update(name="scopes"),
    "parameter moved": lambda d: scope(d).update({"in": "header"}),
    "optional parameter made required": lambda d: scope(d).update(required=True),
    "required parameter added": lambda d: operation(d)["parameters"].append(
        {"name": "instance", "in": "query", "required": True, "schema": {"type": "string"}}
    ),
    "required parameter added to the path": shared_parameter,
    "parameter's type changed": lambda d: scope(d).update(schema={"type": "array", "items": {"type": "string"}}),
    "parameter's format added": lambda d: scope(d)["schema"].update(format="byte"),
    "parameter's length limited": lambda d: scope(d)["schema"].update(maxLength=20),
    "parameter's default changed": lambda d: grant_type(d)["schema"].update(default="password"),
    "parameter's default removed": lambda d: grant_type(d)["schema"].pop("default"),
    "parameter's enum value removed": lambda d: grant_type(d)["schema"].update(enum=["password"]),
    "parameter closed by an enum": lambda d: scope(d)["schema"].update(enum=["data"]),
    "scope no longer accepted": lambda d: scope(d)["schema"].update(
        pattern=scope(d)["schema"]["pattern"].replace("|workflow", "")
    ),
    "scopes separated otherwise": lambda d: scope(d)["schema"].update(
        pattern=scope(d)["schema"]["pattern"].replace("( (", "(,(")
    ),
    "parameter sent otherwise": lambda d: scope(d).update(style="pipeDelimited"),
    "request body added": lambda d: operation(d).update(requestBody={"required": True, "content": {}}),
    "status removed": lambda d: operation(d)["responses"].pop("403"),
    "media type replaced": lambda d: rename(answer(d)["content"], "application/json", "application/jwt"),
    "media type added": lambda d: answer(d, "502")["content"].update({"text/html": {}}),
    "field removed": lambda d: token(d)["properties"].pop("jti"),
    "field renamed": lambda d: rename(error(d)["properties"], "toe", "threadOfExecution"),
    "required field made optional": lambda d: token(d)["required"].remove("expires_in"),
    "nothing required any longer": lambda d: token(d).pop("required"),
    "field's type changed": lambda d: token(d)["properties"]["expires_in"].update(type="number"),
    "field's format changed": lambda d: token(d)["properties"]["expires_in"].update(format="int32"),
    "field's format removed": lambda d: token(d)["properties"]["userId"].pop("format"),
    "field's pattern changed": lambda d: token(d)["properties"]["token_type"].update(pattern="^(bearer|mac)$"),
    "field's pattern removed": lambda d: token(d)["properties"]["access_token"].pop("pattern"),
    "field's minimum lowered": lambda d: token(d)["properties"]["expires_in"].update(minimum=-1),
    "field's minimum removed": lambda d: token(d)["properties"]["expires_in"].pop("minimum"),
    "field made nullable": lambda d: token(d)["properties"]["customer"].update(nullable=True),
    "object closed": lambda d: token(d).update(additionalProperties=False),
    "schema renamed": renamed_schema,
    "schema of an error replaced": lambda d: answer(d, "400")["content"]["application/json"].update(
        schema={"$ref": "#/components/schemas/AccessTokenResponse"}
    ),
    "header no longer promised": lambda d: headers(d)["CacheControl"].update(required=False),
    "header removed": lambda d: answer(d, "401")["headers"].pop("WWW-Authenticate"),
    "header's pattern removed": lambda d: headers(d)["CacheControl"]["schema"].pop("pattern"),
    "header's pattern changed": lambda d: headers(d)["RetryAfter"]["schema"].update(pattern="^[0-9]+$"),
    "security replaced": lambda d: d.update(security=[{"oauth2": ["data"]}]),
    "two kinds of security at once": lambda d: d.update(security=[{"basicAuth": [], "oauth2": []}]),
    "security of the operation dropped": lambda d: operation(d).update(security=[]),
    "security scheme removed": lambda d: schemes(d).pop("oauth2"),
    "security scheme changed": lambda d: schemes(d)["basicAuth"].update(scheme="bearer"),
    "scope of the scheme removed": lambda d: schemes(d)["oauth2"]["flows"]["clientCredentials"]["scopes"].pop("buzz"),
    "token URL changed": lambda d: schemes(d)["oauth2"]["flows"]["clientCredentials"].update(tokenUrl="https://x.test"),
}

ADDITIVE = {
    "path added": lambda d: d["paths"].update({"/oauth/revoke": {"post": {"responses": {"200": {}}}}}),
    "method added": lambda d: d["paths"]["/oauth/token"].update(post=operation(d)),
    "server added at the end": lambda d: d["servers"].append({"url": "https://eu.domo.com"}),
    "optional parameter added": lambda d: operation(d)["parameters"].append({"name": "instance", "in": "query"}),
    "required parameter made optional": lambda d: grant_type(d).update(required=False),
    "parameter's enum value added": lambda d: grant_type(d)["schema"]["enum"].append("password"),
    "parameter opened": lambda d: grant_type(d)["schema"].pop("enum"),
    "parameter's pattern removed": lambda d: scope(d)["schema"].pop("pattern"),
    "parameter may be null": lambda d: scope(d)["schema"].update(nullable=True),
    "scope accepted": lambda d: scope(d)["schema"].update(
        pattern=scope(d)["schema"]["pattern"].replace("|workflow", "|workflow|appstore")
    ),
    "status added": lambda d: operation(d)["responses"].update({"405": answer(d, "400")}),
    "field added": lambda d: token(d)["properties"].update(no_such_field={"type": "string"}),
    "optional field promised": lambda d: token(d)["required"].append("scope"),
    "field's minimum raised": lambda d: token(d)["properties"]["expires_in"].update(minimum=1),
    "field's pattern added": lambda d: token(d)["properties"]["jti"].update(pattern="^[0-9a-f-]{36}$"),
    "field's values listed": lambda d: token(d)["properties"]["role"].update(enum=["Admin", "Anonymous"]),
    "header added": lambda d: answer(d, "401")["headers"].update({"Date": {"$ref": "#/components/headers/Date"}}),
    "header promised": lambda d: headers(d)["Pragma"].update(required=True),
    "security alternative added": lambda d: d["security"].append({"oauth2": []}),
    "security scheme added": lambda d: schemes(d).update(bearer={"type": "http", "scheme": "bearer"}),
    "scope of the scheme added": lambda d: schemes(d)["oauth2"]["flows"]["clientCredentials"]["scopes"].update(app=""),
    "operation deprecated": lambda d: operation(d).update(deprecated=True),
}

NOTHING = {
    "wording": lambda d: operation(d).update(summary="Ask for a token", description="Now shorter."),
    "wording of a field": lambda d: token(d)["properties"]["jti"].update(description="Id", example="x"),
    "an example": lambda d: d["components"]["examples"]["Guide"]["value"].update(env="prod2"),
    "an extension": lambda d: operation(d).update({"x-codeSamples": []}),
    "an unused schema": lambda d: d["components"]["schemas"].update(Unused={"type": "string"}),
    "order": lambda d: operation(d)["parameters"].reverse(),
    "a correction of OpenAPI": lambda d: d.update(openapi="3.0.3"),
    "a header written out": lambda d: answer(d)["headers"].update(Server=headers(d)["Server"]),
}


def mutated(mutation):
    document = copy.deepcopy(DOCUMENT)
    mutation(document)
    return document


@pytest.mark.parametrize(
    ("mutation", "kind"),
    [
        pytest.param(mutation, kind, id=f"{kind}: {name}")
        for kind, table in {"breaking": BREAKING, "additive": ADDITIVE, "nothing": NOTHING}.items()
        for name, mutation in table.items()
    ],
)
def test_each_change_is_judged(mutation, kind):
    document = mutated(mutation)
    found = changes(surface(DOCUMENT), surface(document))

    harmful = [change for change in found if change.harm]
    assert {"breaking": bool(harmful), "additive": bool(found) and not harmful, "nothing": not found}[kind], found


def test_wording_within_an_array_is_no_change_and_its_type_is():
    def listing(**items):
        return surface(mutated(lambda d: token(d)["properties"].update(list={"type": "array", "items": items})))

    assert not changes(listing(type="string", description="Now"), listing(type="string", description="Then"))
    assert [change.harm != "" for change in changes(listing(type="string"), listing(type="integer"))] == [True]


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("operation id renamed", "Code that uses the generated functions or types by name fails."),
        ("schema renamed", "Code that uses the generated functions or types by name fails."),
        ("scope no longer accepted", "Callers that send this value are refused."),
        ("security replaced", "Clients that authenticate in this way are refused."),
    ],
)
def test_harm_names_whom_it_hits(name, harm):
    assert harm in {change.harm for change in changes(surface(DOCUMENT), surface(mutated(BREAKING[name])))}


def test_each_line_of_the_surface_is_guarded():
    """Only a limit on what callers send can go without a new major number."""
    lines = surface(DOCUMENT)
    for key in lines:
        rest = {other: value for other, value in lines.items() if other != key and not other.startswith(f"{key} > ")}
        harmful = [change for change in changes(lines, rest) if change.harm]
        limit = " > parameter " in key and key.endswith((" > enum", " > pattern"))
        assert bool(harmful) is not limit, key


@pytest.mark.parametrize(
    ("table", "version", "fits"),
    [
        ("nothing", "1.2.3", True),
        ("nothing", "1.2.4", True),
        ("nothing", "1.2.2", False),
        ("additive", "1.2.3", False),
        ("additive", "1.2.4", False),
        ("additive", "1.3.0", True),
        ("additive", "2.0.0", True),
        ("breaking", "1.2.4", False),
        ("breaking", "1.3.0", False),
        ("breaking", "2.0.0", True),
        ("breaking", "0.9.0", False),
    ],
)
def test_version_must_fit_the_change(table, version, fits):
    mutation = {
        "nothing": NOTHING["wording"],
        "additive": ADDITIVE["field added"],
        "breaking": BREAKING["path renamed"],
    }
    document = mutated(mutation[table])
    document["info"]["version"] = version
    kept = {"version": "1.2.3", "surface": surface(DOCUMENT)}

    found = verdict(kept, document, changelog=f"# Changelog\n\n## [{version}] - 2027-01-31\n")
    assert bool(found.to_do) is not fits, found


@pytest.mark.parametrize(
    "changelog", ["", f"## [{NEXT}]\n", f"## [{NEXT.replace('.', 'x')}] - 2027-01-31\n", f"### [{NEXT}] - 2027-01-31\n"]
)
def test_version_needs_an_entry(changelog):
    document = mutated(BREAKING["path renamed"])
    document["info"]["version"] = NEXT
    assert f"Add an entry '## [{NEXT}] - <date>'" in str(verdict(KEPT, document, changelog))


def test_version_has_three_numbers():
    document = mutated(lambda d: d["info"].update(version="1.0"))
    with pytest.raises(ValueError, match="three numbers"):
        verdict(KEPT, document, "")


def test_message_says_what_whom_and_what_to_do():
    document = mutated(BREAKING["required field made optional"])
    assert str(verdict(KEPT, document, CHANGELOG.read_text(encoding="utf-8"))).splitlines() == [
        "The contract is not what tests/contract/surface.json keeps:",
        "  BREAKING  GET /oauth/token > response 200 > body application/json > field expires_in: required -> optional",
        "            Clients that read it from the answer find it missing, and some generated ones fail on that.",
        f"This breaks clients: take it back, or raise info.version to {NEXT} and say so in the changelog.",
        "Then run: make surface",
    ]


def test_script_writes_only_what_the_version_allows(tmp_path):
    for file in ("tools/surface.py", "openapi/domo-oauth.yaml", "openapi/CHANGELOG.md", "tests/contract/surface.json"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    contract, changelog = tmp_path / "openapi/domo-oauth.yaml", tmp_path / "openapi/CHANGELOG.md"
    golden = tmp_path / "tests/contract/surface.json"

    def script(*arguments):
        command = [sys.executable, tmp_path / "tools/surface.py", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def replace(file, old, new):
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    assert script().returncode == 0
    replace(contract, "operationId: getAccessToken", "operationId: requestToken")
    before = golden.read_bytes()
    assert "getAccessToken -> requestToken" in script().stderr
    refused = script("--write")
    assert refused.returncode == 1
    assert NEXT in refused.stderr
    assert golden.read_bytes() == before

    replace(contract, f"version: {VERSION}", f"version: {NEXT}")
    replace(changelog, f"## [{VERSION}]", f"## [{NEXT}] - 2027-01-31\n\n## [{VERSION}]")
    assert "make surface" in script().stderr
    assert script("--write").returncode == 0
    assert json.loads(golden.read_text(encoding="utf-8"))["version"] == NEXT
    assert script().returncode == 0
