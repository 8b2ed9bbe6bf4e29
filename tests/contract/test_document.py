"""Where the contract is found, and what is said where something is missing."""

import subprocess
import sys

import pytest
import yaml

from domo_oauth.contract import contract, contract_text, document, recordings
from domo_oauth.errors import ConfigurationError


def test_the_contract_is_read_once():
    assert yaml.safe_load(contract_text()) == contract()
    assert contract() is contract()


def test_an_installed_package_comes_before_the_checkout(tmp_path, monkeypatch):
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "a.har").touch()
    (tmp_path / "domo-oauth.yaml").touch()
    monkeypatch.setattr(document, "_FOLDERS", (tmp_path, *document._FOLDERS))
    assert recordings() == [tmp_path / "recordings" / "a.har"]


def test_an_incomplete_installation_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(document, "_FOLDERS", (tmp_path,))
    with pytest.raises(ConfigurationError, match="missing from this installation"):
        recordings()


WITHOUT = """
import sys
sys.modules[{module!r}] = None  # what an import finds where the package is not installed
from domo_oauth.contract import Exchange, check_request, contract_text
from domo_oauth.errors import ConfigurationError
assert contract_text()
try:
    check_request(Exchange("GET", "https://api.domo.com/oauth/token"))
except ConfigurationError as error:
    print(error)
"""


@pytest.mark.parametrize("module", ["yaml", "openapi_core", "jsonschema_path", "werkzeug"])
def test_without_the_extra_the_contract_can_be_read_and_an_error_names_the_extra(module):
    code = WITHOUT.format(module=module)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{module}")
    assert "pip install 'domo-oauth[cli]'" in done.stdout


def test_a_missing_package_of_the_extra_is_an_error_of_ours():
    with pytest.raises(ConfigurationError, match="pip install 'domo-oauth"), document.cli_extra():
        raise ModuleNotFoundError(name="openapi_core.validation")


def test_another_missing_module_is_not_taken_for_the_extra():
    with pytest.raises(ModuleNotFoundError), document.cli_extra():
        import no_such_module  # noqa: F401


def test_importing_the_package_loads_neither_checker_nor_client():
    code = "import sys, domo_oauth.contract as c; print(*{'openapi_core', 'yaml', 'httpx'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
