"""Guard the parts of the contract that clients rely on and oasdiff does not compare.

`tests/contract/surface.json` keeps them as of the last version. To change them, raise `info.version` and run
`make surface` (`python tools/surface.py --write`).
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = ROOT / "openapi" / "domo-oauth.yaml"
GOLDEN = ROOT / "tests" / "contract" / "surface.json"
WORDS = {"description", "summary", "example", "examples"}


def surface(document: Any) -> Any:
    components = document["components"]
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    parameters = [parameter for operation in operations for parameter in operation.get("parameters", ())]
    return without_words(
        {
            "openapi": document["openapi"].rpartition(".")[0],  # the third number changes nothing for a tool
            "servers": [server["url"] for server in document["servers"]],
            "security schemes": components["securitySchemes"],
            "headers": components["headers"],
            "parameters": {
                each["name"]: [each.get("style"), *map(each["schema"].get, ("default", "pattern"))]
                for each in parameters
            },
            "open schemas": {
                name: schema.get("additionalProperties") for name, schema in components["schemas"].items()
            },
        }
    )


def without_words(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    return {key: without_words(value) for key, value in node.items() if key not in WORDS and not key.startswith("x-")}


def problem(golden: Any, document: Any, *, write: bool) -> str | None:
    """What to do before the change can be committed; None if nothing."""
    changed = sorted(key for key, value in surface(document).items() if value != golden["surface"].get(key))
    if not changed or (write and document["info"]["version"] != golden["version"]):
        return None
    return f"The contract changed in: {', '.join(changed)}. Raise info.version, then run: make surface"


def main() -> str | None:
    document = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    write = sys.argv[1:] == ["--write"]
    found = problem(golden, document, write=write)
    if write and not found:
        kept = {"version": document["info"]["version"], "surface": surface(document)}
        GOLDEN.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return found


if __name__ == "__main__":
    sys.exit(main())
