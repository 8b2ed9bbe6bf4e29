"""Guard the contract's surface: what clients rely on changes only together with `info.version`.

The surface is one flat mapping of everything in the contract that a generated client depends on; wording, examples
and `x-` extensions are not in it. `tests/contract/surface.json` keeps the surface of the last version. A breaking
change asks for a new major number, an additive one for a new minor number, and every version for an entry in
`openapi/CHANGELOG.md`.

`python tools/surface.py` checks. `python tools/surface.py --write` keeps the new surface, once the version fits it.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = ROOT / "openapi" / "domo-oauth.yaml"
CHANGELOG = ROOT / "openapi" / "CHANGELOG.md"
GOLDEN = ROOT / "tests" / "contract" / "surface.json"

Node = dict[str, Any]
Surface = dict[str, Any]
Lines = Iterator[tuple[str, Any]]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
ANNOTATIONS = {"description", "summary", "title", "example", "examples", "externalDocs"}
NEED = {True: "required", False: "optional"}


# --- The surface of a document ---------------------------------------------------------------------------------------


def surface(document: Node) -> Surface:
    """Return what the clients of an OpenAPI document depend on, as `place > in > the document: value`."""
    return dict(sorted(_document(_resolved(document, document, ()))))


def _document(document: Node) -> Lines:
    yield "openapi", document["openapi"].rpartition(".")[0]  # The third number changes nothing for a tool.
    for index, server in enumerate(document["servers"]):
        yield f"server {server['url']}", "alternative" if index else "default"
    for name, scheme in document["components"]["securitySchemes"].items():
        yield f"security scheme {name}", scheme["type"]
        for flow, settings in scheme.get("flows", {}).items():
            yield f"security scheme {name} > flow {flow}", "present"
            yield from ((f"security scheme {name} > flow {flow} > scope {s}", "present") for s in settings["scopes"])
            yield from _others(f"security scheme {name} > flow {flow}", settings, {"scopes"})
        yield from _others(f"security scheme {name}", scheme, {"type", "flows"})
    for path, item in document["paths"].items():
        shared = {"parameters": item.get("parameters", []), "security": document.get("security", [])}
        for method in METHODS:
            if method in item:
                yield from _operation(f"{method.upper()} {path}", shared, item[method])
        yield from _others(f"path {path}", item, {"parameters", *METHODS})


def _operation(key: str, shared: Node, operation: Node) -> Lines:
    yield key, "present"
    for alternative in operation.get("security", shared["security"]) or [{}]:
        yield f"{key} > security {' and '.join(sorted(alternative)) or 'none'}", json.dumps(alternative)
    for parameter in [*shared["parameters"], *operation.get("parameters", [])]:
        name = f"{key} > parameter {parameter['in']} {parameter['name']}"
        yield name, NEED[parameter.get("required", False)]
        yield from _schema(name, parameter.get("schema", {}))
        yield from _others(name, parameter, {"in", "name", "required", "schema"})
    for status, response in operation["responses"].items():
        yield f"{key} > response {status}", "present"
        for name, header in response.get("headers", {}).items():
            yield f"{key} > response {status} > header {name}", NEED[header.get("required", False)]
            yield from _schema(f"{key} > response {status} > header {name}", header.get("schema", {}))
            yield from _others(f"{key} > response {status} > header {name}", header, {"required", "schema"})
        for media_type, content in response.get("content", {}).items():
            yield f"{key} > response {status} > body {media_type}", "present"
            yield from _schema(f"{key} > response {status} > body {media_type}", content.get("schema", {}))
            yield from _others(f"{key} > response {status} > body {media_type}", content, {"schema"})
        yield from _others(f"{key} > response {status}", response, {"headers", "content"})
    yield from _others(key, operation, {"security", "parameters", "responses"})


def _schema(key: str, schema: Node) -> Lines:
    known = {"enum", "items", "properties", "required"}
    if "enum" in schema:
        yield f"{key} > enum", "closed"
        yield from ((f"{key} > enum > {value}", "present") for value in schema["enum"])
    if "pattern" in schema and " > parameter " in key:
        # `(account|audit|…)` lists words that may be sent: one word more makes the pattern wider, not another one.
        known |= {"pattern"}
        words = r"\((\w+(?:\|\w+)+)\)"
        yield f"{key} > pattern", re.sub(words, "(…)", schema["pattern"])
        listed = {word for group in re.findall(words, schema["pattern"]) for word in group.split("|")}
        yield from ((f"{key} > pattern > {word}", "present") for word in listed)
    for name, field in schema.get("properties", {}).items():
        yield f"{key} > field {name}", NEED[name in schema.get("required", [])]
        yield from _schema(f"{key} > field {name}", field)
    if "items" in schema:
        yield from _schema(f"{key} > items", schema["items"])
    yield from _others(key, schema, known)


def _others(key: str, node: Node, known: set[str]) -> Lines:
    """Whatever has no rule of its own, as it stands: no keyword can change unseen."""
    for keyword in node.keys() - known - ANNOTATIONS:
        if not keyword.startswith("x-"):
            yield f"{key} > {keyword}", node[keyword]


def _resolved(node: Any, document: Node, trail: tuple[str, ...]) -> Any:
    """Put what it refers to in the place of each reference; a schema keeps its name, which names a generated type."""
    if isinstance(node, list):
        return [_resolved(item, document, trail) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if reference is None or reference in trail:  # A schema that contains itself stays a reference there.
        return {key: _resolved(value, document, trail) for key, value in node.items()}
    target: Any = document
    for step in reference.removeprefix("#/").split("/"):
        target = target[step.replace("~1", "/").replace("~0", "~")]
    name = {"type name": reference.rpartition("/")[2]} if "/schemas/" in reference else {}
    return _resolved(target, document, (*trail, reference)) | name


# --- What a change does to clients -----------------------------------------------------------------------------------


class Change(NamedTuple):
    """A line of the surface that is not what it was. `harm` says whom it breaks; empty, if it only adds."""

    key: str
    move: str
    harm: str

    def __str__(self) -> str:
        return f"  {'BREAKING' if self.harm else 'additive'}  {self.key}: {self.move}" + (
            f"\n            {self.harm}" if self.harm else ""
        )


_PARAMETER, _RESPONSE = r" > parameter .*", r" > response .*"
_LIMIT = r" > (enum|format|maximum|maxItems|maxLength|minimum|minItems|minLength|multipleOf|pattern)$"
_VALUE = r" > (enum|pattern) > .*"

# The first line whose first pattern is found in the key decides; the change is additive if the second pattern fits its
# move. Callers may be allowed more and answers may promise more, never less; what is in no line may not change at all.
_RULES = (
    (r" > deprecated$", r".*", ""),
    (r"^[A-Z]+ /[^>]*$", r"added.*", "Whoever calls this operation no longer finds it."),
    (r"^server ", r"added: alternative", "Clients that call this server, by default or by choice, reach another."),
    (r"^security scheme ([^>]+|.* > (flow|scope) [^>]+)$", r"added.*", "Documents that refer to it no longer can."),
    (r" > security [^>]+$", r"added.*", "Clients that authenticate in this way are refused."),
    (
        r" > parameter [^>]+$",
        r"added: optional|required -> optional",
        "Callers that do not send what is now required, or send what is gone, are refused or misunderstood.",
    ),
    (_PARAMETER + _VALUE, r"added.*", "Callers that send this value are refused."),
    (_PARAMETER + _LIMIT, r"removed.*|widened.*", "Callers whose values were good until now may be refused."),
    (_PARAMETER + r" > nullable$", r"added.*", "Callers that send null are refused."),
    (r" > response [^>]+$", r"added.*", "Clients that handle this status no longer know what comes with it."),
    (
        _RESPONSE + r" > (field|header) [^>]+$",
        r"added.*|optional -> required",
        "Clients that read it from the answer find it missing, and some generated ones fail on that.",
    ),
    (_RESPONSE + _LIMIT, r"added.*|narrowed.*", "Clients meet values that they were promised never to see."),
    (r" > (operationId|tags|type name)$", r"", "Code that uses the generated functions or types by name fails."),
    (r"", r"", "Clients generated from the last version send, read or name it as it was."),
)


def changes(old: Surface, new: Surface) -> list[Change]:
    """Return what differs between two surfaces; of something that came or went as a whole, its first line only."""
    found: list[Change] = []
    whole = "\0"
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) == new.get(key) or key.startswith(whole):
            continue
        if key not in old or key not in new:
            whole = f"{key} > "
        move = _move(key, old, new)
        allowed, harm = next((allowed, harm) for pattern, allowed, harm in _RULES if re.search(pattern, key))
        found.append(Change(key, move, "" if re.fullmatch(allowed, move) else harm))
    return found


def _move(key: str, old: Surface, new: Surface) -> str:
    if key not in old:
        return f"added: {new[key]}"
    if key not in new:
        return f"removed: {old[key]}"
    words = f"{old[key]} -> {new[key]}"
    if limit := re.search(r" > (min|max)\w+$", key):
        rises = new[key] > old[key]
        return f"{'narrowed' if rises == (limit[1] == 'min') else 'widened'}: {words}"
    return words


# --- The version that a change asks for ------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """What differs from the golden file, and what is still to be done before that may be kept. Empty if all is well."""

    differs: list[str]
    to_do: list[str]

    def __str__(self) -> str:
        told = ["The contract is not what tests/contract/surface.json keeps:", *self.differs] if self.differs else []
        return "\n".join([*told, *self.to_do, *(["Then run: make surface"] if self.differs else [])])


def verdict(golden: Node, document: Node, changelog: str) -> Verdict:
    """Compare a document to the golden surface, and its version and changelog to what the changes ask for."""
    version = document["info"]["version"]
    found = changes(golden["surface"], surface(document))
    was, now = _numbers(golden["version"]), _numbers(version)
    to_do: list[str] = []
    if any(change.harm for change in found) and now[0] <= was[0]:
        to_do.append(
            f"This breaks clients: take it back, or raise info.version to {was[0] + 1}.0.0 and say so in the changelog."
        )
    elif found and now[:2] <= was[:2]:
        to_do.append(f"Something was added: raise info.version to {was[0]}.{was[1] + 1}.0 and say so in the changelog.")
    elif now < was:
        to_do.append(f"Raise info.version: {version} is lower than {golden['version']}.")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        to_do.append(f"Add an entry '## [{version}] - <date>' to openapi/CHANGELOG.md.")
    moved = [] if now == was else [f"  version   {golden['version']} -> {version}"]
    return Verdict([*map(str, found), *moved], to_do)


def _numbers(version: str) -> tuple[int, int, int]:
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", version)
    if not match:
        raise ValueError(f"info.version is {version!r}; write three numbers, such as 1.2.0 (https://semver.org).")
    return int(match[1]), int(match[2]), int(match[3])


def main() -> int:
    """Check the contract against the golden file, or write that. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the new surface, once the version fits it")
    write = parser.parse_args().write

    document = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    found = verdict(golden, document, CHANGELOG.read_text(encoding="utf-8"))
    if found.to_do or (found.differs and not write):
        print(found, file=sys.stderr)
        return 1
    if found.differs:
        kept = {"version": document["info"]["version"], "surface": surface(document)}
        GOLDEN.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"Kept the surface of version {kept['version']} in {GOLDEN.relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
