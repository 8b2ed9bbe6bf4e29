"""Every breaking change of the contract is caught, by oasdiff or by surface.json."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tools import contract_diff, surface

TEXT = surface.CONTRACT.read_text(encoding="utf-8")
DOCUMENT = yaml.safe_load(TEXT)
GOLDEN = json.loads(surface.GOLDEN.read_text(encoding="utf-8"))
OASDIFF = contract_diff.TOOLS / "oasdiff"
SPECTRAL = surface.ROOT / "node_modules" / ".bin" / "spectral"
needs_oasdiff = pytest.mark.skipif(not OASDIFF.exists(), reason="needs oasdiff: with Go installed, make contract-diff")


def at(path, value):
    """Set a value in the contract; None deletes it."""

    def change(document):
        *steps, last = path.split(" ")
        node = document
        for step in steps:
            node = node[int(step) if isinstance(node, list) else step]
        if value is None:
            node.pop(last)
        else:
            node[last] = value(node.get(last)) if callable(value) else value

    return change


OPERATION = "paths /oauth/token get"
SCOPE = f"{OPERATION} parameters 1"
GRANT_TYPE = f"{OPERATION} parameters 0"
TOKEN = "components schemas AccessTokenResponse"
ERROR = "components schemas TokenError properties"
SCHEMES = "components securitySchemes"


def rename_schema(document):
    document.update(json.loads(json.dumps(document).replace("TokenError", "OAuthError")))


BY_OASDIFF = {
    "type of a field": at(f"{TOKEN} properties expires_in type", "string"),
    # The others fail because of `tools/oasdiff-levels.txt`.
    "operationId renamed": at(f"{OPERATION} operationId", "requestToken"),
    "tag renamed": at(f"{OPERATION} tags", ["OAuth"]),
    "parameter removed": at(f"{OPERATION} parameters", lambda parameters: parameters[:1]),
    "parameter moved": at(f"{SCOPE} in", "header"),
    "status removed": at(f"{OPERATION} responses 401", None),
    "media type added": at(f"{OPERATION} responses 502 content text/html", {}),
    "field removed": at(f"{ERROR} toe", None),
    "format of a field": at(f"{TOKEN} properties userId format", "int32"),
    "pattern of a field": at(f"{TOKEN} properties token_type pattern", "^mac$"),
    "schema renamed": rename_schema,
    "header removed": at(f"{OPERATION} responses 429 headers", None),
    "authentication removed": at("security", []),
}
BY_SURFACE = {
    "another version of OpenAPI": at("openapi", "3.1.0"),
    "another server put first": at("servers", lambda servers: [{"url": "https://eu.domo.com"}, *servers]),
    "default of a parameter": at(f"{GRANT_TYPE} schema default", "client_credentials"),
    "parameter sent in another style": at(f"{SCOPE} style", "pipeDelimited"),
    "pattern of a parameter": at(f"{SCOPE} schema pattern", "^(data|user)( (data|user))*$"),
    "object closed": at(f"{TOKEN} additionalProperties", value=False),
    "pattern of a header": at("components headers RetryAfter schema pattern", "^[0-9]+$"),
    "security scheme removed": at(f"{SCHEMES} oauth2", None),
}
HARMLESS = {
    "wording": at(f"{OPERATION} summary", "Ask for a token"),
    "example": at("components examples Guide value env", "prod2"),
    "extension": at(f"{OPERATION} x-codeSamples", []),
    "path added": at("paths /oauth/revoke", {"post": {"responses": {"200": {"description": ""}}}}),
    "field added": at(f"{TOKEN} properties instance", {"type": "string"}),
    "parameter made optional": at(f"{GRANT_TYPE} required", value=False),
}
BY_LINTER = {  # choices that made clients lose a response or send a wrong request, and the rule that refuses each
    "default of grant_type": (at(f"{GRANT_TYPE} schema default", "client_credentials"), "required-without-default"),
    "pattern of scope": (at(f"{SCOPE} schema pattern", "^(data|user)( (data|user))*$"), "scope-is-open"),
    "names of scope": (at(f"{SCOPE} schema enum", ["data", "data user"]), "scope-is-open"),
    "required header": (at("components headers CacheControl required", value=True), "headers-are-free"),
    "pattern of a header": (at("components headers RetryAfter schema pattern", "^[0-9]+$"), "headers-are-free"),
    "timestamp is a string": (at(f"{ERROR} timestamp type", "string"), "timestamp-has-no-type"),
    "timestamp is a number": (at(f"{ERROR} timestamp type", "integer"), "timestamp-has-no-type"),
    "timestamp is one of two": (
        at(f"{ERROR} timestamp oneOf", [{"type": "string"}, {"type": "integer"}]),
        "timestamp-has-no-type",
    ),
    "error with a required field": (at("components schemas TokenError required", ["error"]), "error-requires-nothing"),
}
ALL = BY_OASDIFF | BY_SURFACE | HARMLESS


def changed(name):
    edited = copy.deepcopy(DOCUMENT)
    ALL[name](edited)
    return edited


@pytest.mark.parametrize("name", BY_SURFACE | HARMLESS)
def test_the_surface_sees_what_oasdiff_does_not(name):
    assert bool(surface.problem(GOLDEN, changed(name), write=False)) is (name in BY_SURFACE)


@pytest.mark.slow
@needs_oasdiff
@pytest.mark.parametrize("name", ALL)
def test_oasdiff_sees_what_the_surface_does_not(name, capfd):
    fails = contract_diff.compare(OASDIFF, TEXT, yaml.safe_dump(changed(name), sort_keys=False)) == 1
    assert fails is (name in BY_OASDIFF), capfd.readouterr()


@pytest.mark.slow
@pytest.mark.skipif(not SPECTRAL.exists(), reason="no Spectral here: make lint-spec")
def test_the_linter_refuses_choices_that_hurt_clients(tmp_path):
    for name, (change, _) in BY_LINTER.items():
        edited = copy.deepcopy(DOCUMENT)
        change(edited)
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(edited, sort_keys=False), encoding="utf-8")
    command = [SPECTRAL, "lint", "--quiet", "--format", "json", "--ruleset", surface.ROOT / ".spectral.yaml"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # Node.js comes as a Python package
    done = subprocess.run(
        [*command, *tmp_path.iterdir()], env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    found = {(Path(each["source"]).stem, each["code"]) for each in json.loads(done.stdout)}
    assert {(name, rule) for name, (_, rule) in BY_LINTER.items()} <= found
    others = {code for _, code in found} - {rule for _, rule in BY_LINTER.values()}
    assert others <= {"oas3-schema", "oas3-valid-media-example", "oas3-valid-schema-example"}


def test_the_surface_is_that_of_the_contract():
    assert surface.problem(GOLDEN, DOCUMENT, write=False) is None


def test_the_version_has_an_entry_in_the_changelog():
    text = (surface.ROOT / "openapi" / "CHANGELOG.md").read_text(encoding="utf-8")
    version = re.escape(DOCUMENT["info"]["version"])
    assert re.search(rf"^## \[{version}\] - \d{{4}}-\d\d-\d\d$", text, re.MULTILINE)


def test_the_surface_is_written_once_the_version_is_raised(tmp_path, monkeypatch):
    for name in ("CONTRACT", "GOLDEN"):
        monkeypatch.setattr(surface, name, Path(shutil.copy(getattr(surface, name), tmp_path)))
    edited = TEXT.replace("https://api.domo.com\n", "https://api2.domo.com\n")

    def run(text, *arguments):
        surface.CONTRACT.write_text(text)
        monkeypatch.setattr(sys, "argv", ["surface.py", *arguments])
        return surface.main()

    assert "changed in: servers. Raise info.version" in run(edited)
    assert "Raise info.version" in run(edited, "--write")
    edited = edited.replace("  version: 2.", "  version: 3.")
    assert "make surface" in run(edited)
    assert run(edited, "--write") is None
    assert run(edited) is None
    assert json.loads(surface.GOLDEN.read_text())["version"].startswith("3.")


def contract_diff_main(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["contract_diff.py", *arguments])
    return contract_diff.main()


@pytest.fixture
def commit(tmp_path, monkeypatch):
    """Commit the contract with another version and text."""
    monkeypatch.chdir(tmp_path)
    contract_diff.CONTRACT.parent.mkdir()
    subprocess.run(["git", "init", "--quiet"], check=True)

    def commit(version, old="", new=""):
        contract_diff.CONTRACT.write_text(
            TEXT.replace(f"  version: {DOCUMENT['info']['version']}", f"  version: {version}").replace(old, new)
        )
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
        subprocess.run(["git", "add", "."], check=True)
        subprocess.run(["git", *identity, "commit", "--quiet", "--message", version], check=True)

    return commit


@pytest.mark.slow
@needs_oasdiff
def test_a_break_needs_a_new_major_number(commit, monkeypatch, capfd):
    breaking = '        "401":', '        "418":'
    commit("1.0.0")
    assert contract_diff_main(monkeypatch) == 0
    assert "this is the first version" in capfd.readouterr().out
    commit("1.0.1", *breaking)
    assert contract_diff_main(monkeypatch) == contract_diff_main(monkeypatch, "HEAD^") == 1
    assert "raise the major number" in capfd.readouterr().err
    commit("2.0.0", *breaking)
    assert contract_diff_main(monkeypatch, "HEAD~2") == 0
    assert "401" in capfd.readouterr().out
    subprocess.run(["git", "tag", "contract-v2.0.0"], check=True)
    contract_diff.CONTRACT.write_text(contract_diff.CONTRACT.read_text().replace("/oauth/token:", "/oauth2/token:"))
    assert contract_diff_main(monkeypatch) == 1
    assert "From contract-v2.0.0 to the working tree" in capfd.readouterr().out


def test_what_is_missing_is_named(commit, monkeypatch, tmp_path):
    commit("1.0.0")
    message = contract_diff_main(monkeypatch, "nonsense")
    assert message == "contract-diff: there is no openapi/domo-oauth.yaml at nonsense"
    monkeypatch.setattr(contract_diff, "TOOLS", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "oasdiff needs Go" in contract_diff_main(monkeypatch, "HEAD")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "this needs git and a clone" in contract_diff_main(monkeypatch)
