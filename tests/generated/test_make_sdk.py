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


def test_it_does_nothing_unless_something_changed_or_it_is_forced(root):
    (root / PACKAGE / "__pycache__").mkdir()  # no change
    inode = (root / PACKAGE).stat().st_ino
    ended = run(root)
    assert (ended.returncode, ended.stdout) == (0, "make_sdk: nothing changed\n")
    assert (root / PACKAGE).stat().st_ino == inode
    assert "wrote" in run(root, "--force").stdout
    assert (root / PACKAGE).stat().st_ino != inode


def test_it_undoes_edits_drops_stale_files_and_writes_the_same_bytes_in_every_run(root):
    before = files(root)
    edit(root, f"{PACKAGE}/errors.py", "", "edited = True\n")
    (root / PACKAGE / "models" / "stale.py").touch()
    assert "wrote" in run(root, hash_seed=2).stdout
    assert files(root) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("openapi/domo-oauth.yaml", "Lifetime of the token in seconds", "Changed"),
        ("generator-config.yaml", "literal_enums: true", "literal_enums: false"),
        ("generator-templates/errors.py.jinja", "breaks the contract", "changed"),
    ],
)
def test_it_runs_after_a_change(root, name, old, new):
    before = files(root)
    edit(root, name, old, new)
    assert run(root).returncode == 0
    assert files(root) != before


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("generator-templates/types.py.jinja", "", "{% if %}", "TemplateSyntaxError"),
        ("generator-templates/types.py.jinja", "", "def broken(:", "ruff failed"),
        ("openapi/domo-oauth.yaml", "", "\n  responses: {a: 1}\n", "Failed to parse OpenAPI document"),
        ("openapi/domo-oauth.yaml", "scheme: basic", "scheme: bearer", "HTTP Basic only"),
        ("pyproject.toml", '"ruff==', '"ruff==9', "pyproject.toml pins 9"),
    ],
    ids=["template", "Python", "contract", "authentication", "version"],
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
      parameters:
        - {name: id, in: path, required: true, schema: {type: string, description: Which one.}}
        - {name: X-Trace, in: header, schema: {type: string}}
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}
      responses:
        "200":
          description: OK
          content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}
        "201":
          description: Created
          content: {text/plain: {schema: {type: string}}}
        "202":
          description: Several
          content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Thing"}}}}
        "204": {description: Nothing}
        4XX:
          description: Bad
          content: {application/json: {schema: {$ref: "#/components/schemas/Other"}}}
components:
  securitySchemes: {basicAuth: {type: http, scheme: basic}}
  schemas:
    Thing:
      type: object
      required: [made, reading]
      properties:
        made: {type: string, format: date-time}
        reading: {type: number, minimum: 0.5}
        kind: {type: string, enum: [a, b]}
        note: {type: string, nullable: true, maxLength: 3}
        tags: {type: array, items: {type: string, pattern: '^\\d"?$'}}
        part: {$ref: "#/components/schemas/Other"}
        parts: {type: array, items: {$ref: "#/components/schemas/Other"}}
        either: {oneOf: [{$ref: "#/components/schemas/Other"}, {type: string}]}
      additionalProperties: {$ref: "#/components/schemas/Other"}
    Other:
      type: object
      required: [size]
      properties: {size: {type: integer, format: int32}, key: {type: string, format: password, default: none}}
      additionalProperties: false
"""

OTHER_CHECK = """
import datetime, json
import httpx
from domo_oauth_client import AuthenticatedClient
from domo_oauth_client.api.things import change_thing
from domo_oauth_client.errors import ResponseValidationError
from domo_oauth_client.models import Other, Thing
from domo_oauth_client.types import UNSET

good = {
    "made": "2026-01-02T03:04:05+00:00", "reading": 1, "kind": "a", "note": None, "tags": ["1", "2"],
    "part": {"size": 1, "key": "k"}, "parts": [{"size": 2, "key": "k"}], "either": "text",
    "extra": {"size": 3, "key": "k"},
}
bad = {
    "made": ["yesterday", 5], "reading": [0.4, True], "kind": ["c"], "note": ["long"], "tags": [["x"], "1", ["1\\n"]],
    "part": [[], None, {"size": 2**31}], "parts": [{}, [1], [{"size": "1"}]], "extra": [3],
}
thing = Thing.from_dict(good)
assert thing.to_dict() == good, thing.to_dict()
assert thing.made == datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
assert thing.additional_properties["extra"] == Other(size=3, key="k")
assert repr(thing.part) == "Other(size=1)" and Other(size=1).key == "none"
assert Thing.from_dict(good | {"either": {"size": 1}}).either == Other(1, key=UNSET)

def answer(status, content=b"", media_type="application/json"):
    def handle(request):
        assert request.url.raw_path == b"/things/a%2Fb" and request.headers["X-Trace"] == "t"
        assert request.headers["Content-Type"] == "application/json" and json.loads(request.content) == good
        return httpx.Response(status, content=content, headers={"Content-Type": media_type})
    args = {"transport": httpx.MockTransport(handle)}
    client = AuthenticatedClient("http://127.0.0.1", username="u", password="p", httpx_args=args)
    return change_thing.sync(id="a/b", client=client, body=thing, x_trace="t")

text = json.dumps(good).encode()
assert answer(200, text) == thing
assert answer(201, b"hello", "text/plain") == "hello"
assert answer(202, b"[" + text + b"]") == [thing]
assert answer(204) is None and answer(500) is None
assert answer(404, b'{"size": 1}') == Other(1, key=UNSET) and answer(404, b"[]") is None
broken = [(200, json.dumps(good | {name: value}).encode()) for name, values in bad.items() for value in values]
for status, content in [*broken, (202, b"5"), (202, b"[5]"), (200, b"[]")]:
    try:
        answer(status, content)
    except ResponseValidationError as error:
        assert (error.status_code, error.content) == (status, content)
    else:
        raise AssertionError((status, content))
print("fine")
"""


def test_the_templates_serve_another_contract(root):
    (root / "openapi" / "domo-oauth.yaml").write_text(OTHER_CONTRACT, encoding="utf-8")
    ended = run(root)
    assert ended.returncode == 0, ended.stderr
    env = os.environ | {"PYTHONPATH": str(root / "generated")}
    check = subprocess.run([sys.executable, "-c", OTHER_CHECK], env=env, capture_output=True, text=True, check=False)
    assert check.stdout == "fine\n", check.stderr
