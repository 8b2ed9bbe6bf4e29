"""`tools/make_sdk.py` on a copy of what it reads, and the templates on a contract with all that ours does not have."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("tools/make_sdk.py", "pyproject.toml", "openapi/domo-oauth.yaml", "generator-config.yaml")


class Tree:
    """A copy of the project as far as `make sdk` needs it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.package = root / "generated" / "domo_oauth_client"
        for name in SOURCES:
            (root / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, root / name)
        shutil.copytree(ROOT / "generator-templates", root / "generator-templates")

    def run(self, *options: str, hash_seed: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(self.root / "tools" / "make_sdk.py"), *options]
        environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def files(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.package)): path.read_bytes() for path in self.package.rglob("*.*")}


def package_of(root: Path) -> dict[str, bytes]:
    package = root / "generated" / "domo_oauth_client"
    return {
        str(path.relative_to(package)): path.read_bytes()
        for path in package.rglob("*.*")
        if "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    tree = Tree(tmp_path_factory.mktemp("made"))
    run = tree.run(hash_seed=1)
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"make_sdk: wrote {Path('generated', 'domo_oauth_client')}\n"
    return tree


@pytest.fixture
def tree(made: Tree, tmp_path: Path) -> Tree:
    """A tree in which the package has been made."""
    shutil.copytree(made.root, tmp_path, dirs_exist_ok=True)
    twin = object.__new__(Tree)
    twin.root, twin.package = tmp_path, tmp_path / "generated" / "domo_oauth_client"
    return twin


def test_writes_what_is_committed(made: Tree) -> None:
    assert made.files() == package_of(ROOT)
    assert made.files()["py.typed"] == b""


def test_writes_the_same_bytes_with_another_hash_seed_and_drops_what_is_stale(tree: Tree) -> None:
    before = tree.files()
    (tree.package / "stale.py").touch()
    (tree.package / "models" / "stale.py").touch()
    assert tree.run(hash_seed=2).returncode == 0
    assert tree.files() == before


def test_does_nothing_if_nothing_changed_unless_it_is_forced(tree: Tree) -> None:
    (tree.package / "__pycache__").mkdir()  # what Python leaves there is no change
    (tree.package / "__pycache__" / "errors.cpython-311.pyc").touch()
    inode = tree.package.stat().st_ino
    run = tree.run()
    assert (run.returncode, run.stdout) == (0, "make_sdk: nothing changed\n")
    assert tree.package.stat().st_ino == inode
    assert "wrote" in tree.run("--force").stdout
    assert tree.package.stat().st_ino != inode


@pytest.mark.parametrize("name", ["errors.py", "py.typed"])
def test_undoes_an_edit_by_hand(tree: Tree, name: str) -> None:
    before = tree.files()
    (tree.package / name).write_text("edited = True\n", encoding="utf-8")
    assert "wrote" in tree.run().stdout
    assert tree.files() == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("openapi/domo-oauth.yaml", "Lifetime of the token in seconds", "Changed"),
        ("generator-config.yaml", "literal_enums: true", "literal_enums: false"),
        ("generator-templates/errors.py.jinja", "breaks the contract", "changed"),
    ],
)
def test_runs_after_a_change(tree: Tree, name: str, old: str, new: str) -> None:
    before = tree.files()
    path = tree.root / name
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert tree.run().returncode == 0
    assert tree.files() != before


@pytest.mark.parametrize(
    ("name", "added", "message"),
    [
        ("generator-templates/types.py.jinja", "{% if %}", "TemplateSyntaxError"),
        ("generator-templates/types.py.jinja", "def broken(:", "ruff failed"),
        ("openapi/domo-oauth.yaml", "\n  responses: {a: 1}\n", "Failed to parse OpenAPI document"),
    ],
)
def test_leaves_the_old_package_when_it_fails(tree: Tree, name: str, added: str, message: str) -> None:
    before = tree.files()
    with (tree.root / name).open("a", encoding="utf-8") as file:
        file.write(added)
    run = tree.run()
    assert run.returncode == 1
    assert message in run.stderr
    assert tree.files() == before
    assert [path.name for path in (tree.root / ".cache").iterdir()] == ["sdk.sha256"], "something was left behind"
    assert tree.run().returncode == 1, "a failure was taken for a success"


def test_refuses_another_version_of_a_tool(tree: Tree) -> None:
    path = tree.root / "pyproject.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"ruff==', '"ruff==9'), encoding="utf-8")
    run = tree.run()
    assert run.returncode == 1
    assert "pyproject.toml pins 9" in run.stderr


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
thing = Thing.from_dict(good)
assert thing.to_dict() == good, thing.to_dict()
assert thing.made == datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
assert thing.additional_properties["extra"] == Other(size=3, key="k")
assert repr(thing.part) == "Other(size=1)" and Other(size=1).key == "none"
assert Thing.from_dict(good | {"either": {"size": 1}}).either == Other(1, key=UNSET)

bad = {
    "made": ["yesterday", 5], "reading": [0.4, True], "kind": ["c"], "note": ["long"], "tags": [["x"], "1", ["1\\n"]],
    "part": [[], None], "parts": [{}, [1]], "extra": [3],
}
for size in (2**31, "1"):
    try:
        Thing.from_dict(good | {"parts": [{"size": size}]})
    except ResponseValidationError as error:
        assert error.field == "size", error
    else:
        raise AssertionError(size)

def answer(status, content=b"", media_type="application/json"):
    def handle(request):
        assert request.url.raw_path == b"/things/a%2Fb" and request.headers["X-Trace"] == "t"
        assert request.headers["Content-Type"] == "application/json" and json.loads(request.content) == good
        return httpx.Response(status, content=content, headers={"Content-Type": media_type})
    client = AuthenticatedClient("http://127.0.0.1", username="u", password="p")
    client.set_httpx_client(httpx.Client(base_url="http://127.0.0.1", transport=httpx.MockTransport(handle)))
    return change_thing.sync(id="a/b", client=client, body=thing, x_trace="t")

text = json.dumps(good).encode()
assert answer(200, text) == thing
assert answer(201, b"hello", "text/plain") == "hello"
assert answer(202, b"[" + text + b"]") == [thing]
assert answer(204) is None and answer(500) is None
assert answer(404, b'{"size": 1}') == Other(1, key=UNSET) and answer(404, b"[]") is None
broken = [(name, 200, json.dumps(good | {name: value}).encode()) for name, values in bad.items() for value in values]
for name, status, content in [*broken, (None, 202, b"5"), (None, 202, b"[5]"), (None, 200, b"[]")]:
    try:
        answer(status, content)
    except ResponseValidationError as error:
        assert (error.status_code, error.content) == (status, content)
        assert error.field == name or name in ("made", "part", "parts", "extra"), (name, error)
    else:
        raise AssertionError((name, status))
print("fine")
"""


def test_templates_render_what_another_contract_says(tree: Tree) -> None:
    (tree.root / "openapi" / "domo-oauth.yaml").write_text(OTHER_CONTRACT, encoding="utf-8")
    run = tree.run()
    assert run.returncode == 0, run.stderr
    environment = os.environ | {"PYTHONPATH": str(tree.package.parent)}
    check = subprocess.run(
        [sys.executable, "-c", OTHER_CHECK], env=environment, capture_output=True, text=True, check=False
    )
    assert check.stdout == "fine\n", check.stderr
