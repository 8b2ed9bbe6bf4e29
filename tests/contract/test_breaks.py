"""Which guards see a break of the contract: each break is done to a copy of it, and each guard is asked.

CONTRIBUTING.md shows the same as a table, with what the clients in other languages make of each break; `make interop`
is too slow for here. The test is red if a guard no longer sees a break, and if it sees more: then write that down.
"""

import copy
import io
import json

import pytest
import yaml

from domo_oauth.contract import contract, document, recordings, validation, verify
from tools import contract_diff, make_sdk, surface

from .places import answer, error, grant_type, operation, rename, scope, token

CONTRACT = surface.CONTRACT.read_text(encoding="utf-8")
DOCUMENT = yaml.safe_load(CONTRACT)


def rename_access_token(d):
    rename(token(d)["properties"], "access_token", "accessToken")
    token(d)["required"][0] = "accessToken"


def rename_error(d):
    rename(d["components"]["schemas"], "TokenError", "OAuthError")
    for status in set(operation(d)["responses"]) - {"200"}:
        answer(d, status)["content"]["application/json"]["schema"]["$ref"] = "#/components/schemas/OAuthError"


# What sees each break.
# golden: tools/surface.py says that clients break.
# oasdiff: `make contract-diff` fails; told: it says what changed, and passes.
# recordings: some no longer keep the contract.
# client: `make sdk` writes other code, or none; `make drift` lets neither pass. refused: it says why not.
BREAKS = {
    "`access_token` renamed": (rename_access_token, "golden oasdiff recordings client"),
    "`expires_in` no longer required": (lambda d: token(d)["required"].remove("expires_in"), "golden oasdiff client"),
    "`expires_in` a string": (
        lambda d: token(d)["properties"]["expires_in"].update(type="string"),
        "golden oasdiff recordings client",
    ),
    "`token_type` another value": (
        lambda d: token(d)["properties"]["token_type"].update(pattern="^mac$"),
        "golden told recordings client",
    ),
    "`userId` of 32 bits": (
        lambda d: token(d)["properties"]["userId"].update(format="int32"),
        "golden told client",
    ),
    "token closed to more fields": (lambda d: token(d).update(additionalProperties=False), "golden client"),
    "error's `toe` removed": (lambda d: error(d)["properties"].pop("toe"), "golden told client"),
    "error's `status` a string": (
        lambda d: error(d)["properties"]["status"].update(type="string"),
        "golden oasdiff recordings client",
    ),
    "`TokenError` renamed": (rename_error, "golden told client"),
    "`scope` removed": (lambda d: operation(d)["parameters"].pop(), "golden told client"),
    "`scope` required": (lambda d: scope(d).update(required=True), "golden oasdiff recordings client"),
    "`scope` a header": (lambda d: scope(d).update({"in": "header"}), "golden told client"),
    "`scope` an array": (
        lambda d: scope(d).update(schema={"type": "array", "items": {"type": "string"}}),
        "golden oasdiff client",
    ),
    "scope `user` no longer listed": (
        lambda d: scope(d)["schema"].update(pattern=scope(d)["schema"]["pattern"].replace("|user", "")),
        "golden told",
    ),
    "`grant_type` another value": (
        lambda d: grant_type(d)["schema"].update(enum=["password"], default="password"),
        "golden oasdiff recordings client",
    ),
    "Basic authentication removed": (lambda d: d.update(security=[]), "golden told refused"),
    "Bearer in place of Basic": (
        lambda d: d["components"]["securitySchemes"]["basicAuth"].update(scheme="bearer"),
        "golden oasdiff recordings refused",
    ),
    "path renamed": (
        lambda d: rename(d["paths"], "/oauth/token", "/oauth2/token"),
        "golden oasdiff recordings client",
    ),
    "GET made POST": (
        lambda d: rename(d["paths"]["/oauth/token"], "get", "post"),
        "golden oasdiff recordings client",
    ),
    "`operationId` renamed": (lambda d: operation(d).update(operationId="requestToken"), "golden told client"),
    "status 401 removed": (lambda d: operation(d)["responses"].pop("401"), "golden told recordings client"),
    "media type of 200 changed": (
        lambda d: rename(answer(d)["content"], "application/json", "application/jwt"),
        "golden oasdiff recordings client",
    ),
    "`Retry-After` of 429 removed": (lambda d: answer(d, "429").pop("headers"), "golden told"),
    "server changed": (lambda d: d["servers"][0].update(url="https://api2.domo.com"), "golden recordings"),
}
GUARDS = {
    "golden": "fails",
    "oasdiff": "fails",
    "told": "tells",
    "recordings": "fail",
    "client": "differs",
    "refused": "refuses",
}
UNBROKEN = {"nothing changed": (lambda d: None, "")}

each_break = pytest.mark.parametrize(
    ("text", "seen_by"),
    [
        pytest.param(name, set(seen_by.split()), id=name.replace("`", ""))
        for name, (_, seen_by) in (UNBROKEN | BREAKS).items()
    ],
    indirect=["text"],
)


def broken(name):
    changed = copy.deepcopy(DOCUMENT)
    edit, _ = (UNBROKEN | BREAKS)[name]
    edit(changed)
    return yaml.safe_dump(changed, sort_keys=False, allow_unicode=True)


@pytest.fixture
def text(request):
    return broken(request.param)


@each_break
def test_golden_surface(text, seen_by):
    golden = json.loads(surface.GOLDEN.read_text(encoding="utf-8"))
    told = surface.verdict(golden, yaml.safe_load(text), surface.CHANGELOG.read_text(encoding="utf-8"))
    assert ("This breaks clients" in str(told)) is ("golden" in seen_by), told


@each_break
def test_recordings(text, seen_by, monkeypatch):
    def forget():
        contract.cache_clear()
        validation._document.cache_clear()

    monkeypatch.setattr(document, "contract_text", lambda: text)
    forget()
    try:
        out = io.StringIO()
        status = verify(recordings(), out=out)
    finally:
        forget()  # what was read of the broken one
    assert (status != 0) is ("recordings" in seen_by), out.getvalue()


@pytest.mark.skipif(
    not (contract_diff.TOOLS / "oasdiff").exists(), reason="needs oasdiff: with Go installed, make contract-diff"
)
@each_break
def test_oasdiff(text, seen_by, capfd):
    fails = contract_diff.compare(contract_diff.TOOLS / "oasdiff", CONTRACT, text) == 1
    told = "No changes" not in capfd.readouterr().out
    assert (fails, told) == ("oasdiff" in seen_by, bool(seen_by & {"oasdiff", "told"}))


@pytest.mark.once  # a second each, and the generator is the same under every Python
@each_break
def test_client(text, seen_by, monkeypatch, tmp_path):
    (tmp_path / "contract.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(make_sdk, "CONTRACT", tmp_path / "contract.yaml")
    new = tmp_path / "new"
    try:
        make_sdk.generate(new)
    except SystemExit:
        other = True
    else:
        other = written(new) != written(make_sdk.PACKAGE)
    assert other is bool(seen_by & {"client", "refused"})


def written(package):
    return {path.relative_to(package): path.read_bytes() for path in make_sdk.files(package)}


@pytest.mark.parametrize("name", BREAKS)
def test_the_table_of_contributing_says_the_same(name):
    _, seen_by = BREAKS[name]
    golden, oasdiff, told, recorded, client, refused = (
        word if guard in seen_by.split() else "" for guard, word in GUARDS.items()
    )
    row = f"| {name} | {golden} | {oasdiff or told} | {recorded} | {client or refused} | "
    assert row in (surface.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
