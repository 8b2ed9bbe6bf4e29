"""Every change of the contract that breaks clients is seen: by oasdiff, by the surface that it lacks, or by both.

The regenerated client (`make drift`) sees nearly all of them, too.
"""

from __future__ import annotations

import copy
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from domo_oauth.contract import check, contract, document, recordings, verify
from tools import contract_diff, surface

TEXT = surface.CONTRACT.read_text(encoding="utf-8")
DOCUMENT = yaml.safe_load(TEXT)
GOLDEN = json.loads(surface.GOLDEN.read_text(encoding="utf-8"))
OASDIFF = contract_diff.TOOLS / "oasdiff"
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


def renamed(path, old, new):
    return at(path, lambda members: {new if name == old else name: value for name, value in members.items()})


OPERATION = "paths /oauth/token get"
SCOPE = f"{OPERATION} parameters 1"
GRANT_TYPE = f"{OPERATION} parameters 0"
TOKEN = "components schemas AccessTokenResponse"
ERROR = "components schemas TokenError properties"
SCHEMES = "components securitySchemes"


def rename_schema(document):
    renamed("components schemas", "TokenError", "OAuthError")(document)
    for status in set(document["paths"]["/oauth/token"]["get"]["responses"]) - {"200"}:
        schema = f"{OPERATION} responses {status} content application/json schema"
        at(schema, {"$ref": "#/components/schemas/OAuthError"})(document)


# oasdiff fails on these without our levels, too: a sample.
BY_OASDIFF = {
    "path renamed": renamed("paths", "/oauth/token", "/oauth2/token"),
    "parameter made required": at(f"{SCOPE} required", value=True),
    "value of a parameter": at(f"{GRANT_TYPE} schema enum", ["password"]),
    "media type replaced": renamed(f"{OPERATION} responses 200 content", "application/json", "application/jwt"),
    "field made optional": at(f"{TOKEN} required", ["access_token"]),
    "type of a field": at(f"{TOKEN} properties expires_in type", "string"),
    "Bearer instead of Basic": at(f"{SCHEMES} basicAuth scheme", "bearer"),
}
# It fails on these because of `tools/oasdiff-levels.txt`.
BY_LEVEL = {
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
    "server replaced": at("servers", [{"url": "https://api2.domo.com"}]),
    "another server put first": at("servers", lambda servers: [{"url": "https://eu.domo.com"}, *servers]),
    "default of a parameter": at(f"{GRANT_TYPE} schema default", None),
    "parameter sent in another style": at(f"{SCOPE} style", "pipeDelimited"),
    "scope accepted": at(f"{SCOPE} schema pattern", lambda pattern: pattern.replace("|user", "|user|appstore")),
    "scope not accepted": at(f"{SCOPE} schema pattern", lambda pattern: pattern.replace("|user", "")),
    "object closed": at(f"{TOKEN} additionalProperties", value=False),
    "pattern of a header": at("components headers RetryAfter schema pattern", "^[0-9]+$"),
    "security scheme removed": at(f"{SCHEMES} oauth2", None),
    "scope of a scheme removed": at(f"{SCHEMES} oauth2 flows clientCredentials scopes buzz", None),
    "token URL": at(f"{SCHEMES} oauth2 flows clientCredentials tokenUrl", "https://x.test"),
}
HARMLESS = {
    "wording": at(f"{OPERATION} summary", "Ask for a token"),
    "example": at("components examples Guide value env", "prod2"),
    "extension": at(f"{OPERATION} x-codeSamples", []),
    "correction of OpenAPI": at("openapi", "3.0.3"),
    "path added": at("paths /oauth/revoke", {"post": {"responses": {"200": {"description": ""}}}}),
    "field added": at(f"{TOKEN} properties instance", {"type": "string"}),
    "parameter made optional": at(f"{GRANT_TYPE} required", value=False),
}
BY_RECORDINGS = {
    *("path renamed", "parameter made required", "value of a parameter", "media type replaced", "type of a field"),
    *("Bearer instead of Basic", "status removed", "pattern of a field", "server replaced", "another server put first"),
    "object closed",
}
ALL = BY_OASDIFF | BY_LEVEL | BY_SURFACE | HARMLESS


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
    assert fails is (name in BY_OASDIFF | BY_LEVEL), capfd.readouterr()


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_what_the_recordings_see(name, monkeypatch):
    monkeypatch.setattr(document, "contract_text", lambda: yaml.safe_dump(changed(name)))
    caches = contract, check._contract
    try:
        for cache in caches:
            cache.cache_clear()
        status = verify(recordings(), out=(out := io.StringIO()))
    finally:
        for cache in caches:
            cache.cache_clear()
    assert bool(status) is (name in BY_RECORDINGS), out.getvalue()


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
    edited = edited.replace("  version: 1.", "  version: 2.")
    assert "make surface" in run(edited)
    assert run(edited, "--write") is None
    assert run(edited) is None
    assert json.loads(surface.GOLDEN.read_text())["version"].startswith("2.")


class TestContractDiff:
    @pytest.fixture
    def git(self, tmp_path, monkeypatch):
        """Run git in an empty repository."""

        def git(*arguments):
            identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
            subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)

        (tmp_path / "openapi").mkdir()
        monkeypatch.chdir(tmp_path)
        git("init", "--quiet")
        return git

    @pytest.fixture
    def write(self, git):
        """Write the contract with another version, and commit it if there is a message."""

        def write(version, *change, message=""):
            text = TEXT.replace("  version: 1.0.1", f"  version: {version}").replace(*change or ("", ""))
            contract_diff.CONTRACT.write_text(text)
            if message:
                git("add", ".")
                git("commit", "--quiet", "--message", message)

        return write

    @pytest.fixture
    def main(self, monkeypatch):
        def main(*arguments):
            monkeypatch.setattr(sys, "argv", ["contract_diff.py", *arguments])
            return contract_diff.main()

        return main

    @pytest.mark.slow
    @needs_oasdiff
    def test_a_break_needs_a_new_major_number(self, write, git, main, capfd):
        breaking = '        "401":', '        "418":'
        write("1.0.0", message="First")
        assert main() == 0
        assert "this is the first version" in capfd.readouterr().out
        write("1.0.1", *breaking)
        assert main() == main("HEAD") == 1
        assert "raise the major number" in capfd.readouterr().err
        write("1.0.1", *breaking, message="Second")
        assert main() == 1
        write("2.0.0", *breaking, message="Third")
        assert main() == 0
        assert "401" in capfd.readouterr().out
        git("tag", "contract-v2.0.0")
        write("2.0.1", "/oauth/token:", "/oauth2/token:")
        assert main() == 1
        assert "From contract-v2.0.0 to the working tree" in capfd.readouterr().out

    def test_what_is_missing_is_named(self, write, main, monkeypatch, tmp_path):
        write("1.0.0", message="First")
        assert main("nonsense") == "contract-diff: there is no openapi/domo-oauth.yaml at nonsense"
        monkeypatch.setattr(contract_diff, "TOOLS", tmp_path)
        monkeypatch.setattr(shutil, "which", lambda _: None)
        assert "oasdiff needs Go" in main("HEAD")
        monkeypatch.setenv("PATH", str(tmp_path))
        assert "this needs git and a clone" in main()
