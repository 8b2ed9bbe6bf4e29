"""`tools/make_sdk.py` on a copy of what it reads, and our templates on a contract that uses more than ours does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("tools/make_sdk.py", "pyproject.toml", "openapi/domo-oauth.yaml", "generator-config.yaml")
PACKAGE = "generated/domo_oauth_client"

pytestmark = pytest.mark.slow  # the generator takes seconds


def run(root, *options, hash_seed=0):
    command = [sys.executable, str(root / "tools" / "make_sdk.py"), *options]
    env = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def files(root):
    package = root / PACKAGE
    paths = (path for path in package.rglob("*.*") if "__pycache__" not in path.parts)
    return {str(path.relative_to(package)): path.read_bytes() for path in paths}


def edit(root, name, old, new):
    text = (root / name).read_text(encoding="utf-8")
    assert old in text
    (root / name).write_text(text.replace(old, new) if old else text + new, encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    for name in COPIED:
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "generator-templates", root / "generator-templates")
    ended = run(root, hash_seed=1)
    assert (ended.returncode, ended.stdout) == (0, f"make_sdk: wrote {Path(PACKAGE)}\n"), ended.stderr
    return root


@pytest.fixture
def root(made, tmp_path):
    """A tree in which the package has been made."""
    return shutil.copytree(made, tmp_path, dirs_exist_ok=True)


def test_it_writes_what_is_committed(made):
    assert files(made) == files(ROOT)


def test_it_runs_if_its_input_or_the_package_changed_or_it_is_forced(root):
    before = files(root)
    (root / PACKAGE / "__pycache__").mkdir()  # no change
    assert run(root).stdout == "make_sdk: nothing changed\n"
    assert "wrote" in run(root, "--force").stdout
    edit(root, f"{PACKAGE}/errors.py", "", "edited = True\n")
    (root / PACKAGE / "models" / "stale.py").touch()
    assert "wrote" in run(root, hash_seed=2).stdout
    assert files(root) == before
    edit(root, "openapi/domo-oauth.yaml", "Seconds until the token expires", "Changed")
    assert "wrote" in run(root).stdout
    assert b"Changed" in files(root)["models/access_token_response.py"]


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("openapi/domo-oauth.yaml", "", "\n  responses: {a: 1}\n", "Failed to parse OpenAPI document"),
        ("openapi/domo-oauth.yaml", "scheme: basic", "scheme: bearer", "HTTP Basic only"),
        ("pyproject.toml", '"ruff==', '"ruff==9', "pyproject.toml pins 9"),
    ],
    ids=["contract", "authentication", "version"],
)
def test_a_failure_leaves_the_old_package(root, name, old, new, message):
    before = files(root)
    edit(root, name, old, new)
    ended = run(root)
    assert ended.returncode == 1
    assert message in ended.stderr
    assert files(root) == before
    assert [path.name for path in (root / ".cache").iterdir()] == ["sdk.sha256"]  # nothing is left behind
    assert run(root).returncode == 1  # nor taken for a success


OTHER_CONTRACT = """
openapi: 3.0.4
info: {title: Other, version: 1.0.0}
security: [{basicAuth: []}]
paths:
  /things/{id}:
    post:
      tags: [things]
      operationId: changeThing
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}}
      responses:
        "200": {description: OK, content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}}
        "204": {description: Nothing}
components:
  securitySchemes: {basicAuth: {type: http, scheme: basic}}
  schemas:
    Thing:
      type: object
      required: [made]
      properties:
        made: {type: string, format: date-time}
        note: {type: string, nullable: true, maxLength: 3}
        tags: {type: array, items: {type: string, pattern: '^\\d"?$'}}
        parts: {type: array, items: {$ref: "#/components/schemas/Part"}}
    Part:
      type: object
      required: [size]
      properties: {size: {type: integer, format: int32}, key: {type: string, format: password, default: none}}
      additionalProperties: false
"""

OTHER_CHECK = """
import json
import httpx
from domo_oauth_client import AuthenticatedClient
from domo_oauth_client.api.things import change_thing
from domo_oauth_client.errors import ResponseValidationError
from domo_oauth_client.models import Part, Thing

good = {
    "made": "2026-01-02T03:04:05+00:00", "note": None, "tags": ["1", "2"], "parts": [{"size": 2, "key": "k"}],
}
bad = {"made": ["yesterday", 5], "note": ["long"], "tags": [["x"], "1", ["1\\n"]], "parts": [{}, [1], [{"size": "1"}]]}
thing = Thing.from_dict(good)
assert thing.to_dict() == good and thing.made.year == 2026
assert repr(thing.parts) == "[Part(size=2)]" and Part(size=1).key == "none"

def answer(status, body=None):
    def handle(request):
        assert request.url.raw_path == b"/things/a%2Fb" and json.loads(request.content) == good
        return httpx.Response(status, json=body)
    args = {"transport": httpx.MockTransport(handle)}
    client = AuthenticatedClient("http://127.0.0.1", username="u", password="p", httpx_args=args)
    return change_thing.sync(id="a/b", client=client, body=thing)

assert answer(200, good) == thing and answer(204) is None and answer(500) is None
for body in [[], *(good | {name: value} for name, values in bad.items() for value in values)]:
    try:
        answer(200, body)
    except ResponseValidationError as error:
        assert json.loads(error.content) == body
    else:
        raise AssertionError(body)
print("fine")
"""


def test_the_templates_serve_another_contract(root):
    (root / "openapi" / "domo-oauth.yaml").write_text(OTHER_CONTRACT, encoding="utf-8")
    ended = run(root)
    assert ended.returncode == 0, ended.stderr
    env = os.environ | {"PYTHONPATH": str(root / "generated")}
    check = subprocess.run([sys.executable, "-c", OTHER_CHECK], env=env, capture_output=True, text=True, check=False)
    assert check.stdout == "fine\n", check.stderr
