"""The contract is found in a checkout, a wheel and a zip app, and errors say what is missing."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import domo_oauth
from domo_oauth.contract import contract, contract_text, document, recordings, verify
from domo_oauth.errors import ConfigurationError

ROOT = Path(__file__).parents[2]


def test_the_contract_is_read_once():
    assert yaml.safe_load(contract_text()) == contract()
    assert contract() is contract()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package that is laid out like the wheel, with a contract and a recording of its own."""
    installed = tmp_path / "lib" / "domo_oauth"
    monkeypatch.setattr(document, "files", lambda name: {"domo_oauth": installed}[name])
    (installed / "openapi" / "recordings").mkdir(parents=True)
    for name in ("a.har", "b.har", "README.md"):
        (installed / "openapi" / "recordings" / name).touch()
    return installed


def test_what_is_in_the_package_comes_before_the_checkout(package):
    (package / "openapi" / "domo-oauth.yaml").touch()
    assert [recording.name for recording in recordings()] == ["a.har", "b.har"]


def test_an_incomplete_installation(package):
    with pytest.raises(ConfigurationError, match="missing from this installation"):
        recordings()


MAIN = """
import io
from domo_oauth.contract import contract_text, recordings, verify
print(len(contract_text()), verify(recordings(), out=io.StringIO()))
"""


@pytest.fixture
def archive(tmp_path):
    """The package as zipapp (PEP 441) or shiv pack it."""
    contents = {"openapi": ROOT / "openapi", "": Path(domo_oauth.__file__).parent}
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        for folder, source in contents.items():
            for file in source.rglob("*"):
                if file.is_file() and "__pycache__" not in file.parts:
                    archive.write(file, Path("domo_oauth", folder, file.relative_to(source)))
        archive.writestr("__main__.py", MAIN)
    return tmp_path / "app.pyz"


def test_the_contract_in_an_archive(archive, monkeypatch):
    monkeypatch.setattr(document, "files", lambda name: zipfile.Path(archive, f"{name}/"))
    assert document.contract_text.__wrapped__() == contract_text()
    assert verify(recordings(), out=io.StringIO()) == 0
    monkeypatch.setattr(document, "files", lambda name: zipfile.Path(archive, "elsewhere/"))
    with pytest.raises(ConfigurationError, match="missing from this installation"):
        recordings()


@pytest.mark.slow
def test_a_zip_app(archive):
    done = subprocess.run([sys.executable, archive], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == ([str(len(contract_text())), "0"], "")


WITHOUT = """
import sys
import domo_oauth.contract
print(sorted({"openapi_schema_validator", "yaml", "httpx"} & set(sys.modules)))
sys.modules[sys.argv[1]] = None  # what an import finds if the package is not installed
assert domo_oauth.contract.contract_text()
try:
    domo_oauth.contract.check_request(domo_oauth.contract.Exchange("GET", "https://api.domo.com/oauth/token"))
except domo_oauth.ConfigurationError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("module", ["yaml", "openapi_schema_validator"])
def test_without_the_extra_the_text_can_be_read_and_an_error_names_the_extra(module):
    command = [sys.executable, "-c", WITHOUT, module]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded, said = done.stdout.splitlines()
    assert loaded == "[]"
    assert said.startswith(f"{module} is not installed.")
    assert "pip install 'domo-oauth[cli]'" in said


def test_only_a_package_of_the_extra_is_an_error_of_ours():
    with pytest.raises(ConfigurationError, match="pip install 'domo-oauth"), document.cli_extra():
        raise ModuleNotFoundError(name="openapi_schema_validator.validators")
    with pytest.raises(ModuleNotFoundError), document.cli_extra():
        import no_such_module  # noqa: F401


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = domo_oauth.contract.nonsense
