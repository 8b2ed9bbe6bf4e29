"""The contract is found in a checkout, a wheel and a zip app, and errors say what is missing."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import domo_oauth
from domo_oauth.contract import contract_text, document, recordings
from domo_oauth.errors import ConfigurationError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("complete", [True, False])
def test_a_package_comes_before_the_checkout_and_has_to_be_complete(tmp_path, monkeypatch, complete):
    installed = tmp_path / "lib" / "domo_oauth"
    monkeypatch.setattr(document, "files", lambda name: {"domo_oauth": installed}[name])
    (installed / "openapi" / "recordings").mkdir(parents=True)
    for name in ("b.har", "a.har", "README.md", *["../domo-oauth.yaml"] * complete):
        (installed / "openapi" / "recordings" / name).touch()
    if complete:
        assert [recording.name for recording in recordings()] == ["a.har", "b.har"]
        return
    with pytest.raises(ConfigurationError, match="missing from this installation"):
        recordings()


MAIN = """
import io
from domo_oauth.contract import contract_text, recordings, verify
print(len(contract_text()), verify(recordings(), out=io.StringIO()))
"""


@pytest.mark.slow
def test_a_zip_app(tmp_path, monkeypatch):
    """Packed as zipapp (PEP 441) or shiv do."""
    contents = {"openapi": ROOT / "openapi", "": Path(domo_oauth.__file__).parent}
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        for folder, source in contents.items():
            for file in source.rglob("*"):
                if file.is_file() and "__pycache__" not in file.parts:
                    archive.write(file, Path("domo_oauth", folder, file.relative_to(source)))
        archive.writestr("__main__.py", MAIN)
    done = subprocess.run([sys.executable, tmp_path / "app.pyz"], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == ([str(len(contract_text())), "0"], "")
    monkeypatch.setattr(document, "files", lambda name: zipfile.Path(tmp_path / "app.pyz", f"{name}/"))
    assert len(recordings()) > 1


WITHOUT = """
import sys
import domo_oauth.contract as it
assert {"openapi_schema_validator", "yaml", "httpx"}.isdisjoint(sys.modules)
sys.modules[sys.argv[1]] = None  # what an import finds if the package is not installed
assert it.contract_text()
try:
    it.check_exchange(it.Exchange("GET", "https://api.domo.com/oauth/token?grant_type=x", status=200))
except it.document.ConfigurationError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("module", ["yaml", "openapi_schema_validator"])
def test_without_the_extra_the_text_can_be_read_and_an_error_names_the_extra(module):
    command = [sys.executable, "-c", WITHOUT, module]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{module} is not installed.")
    assert "pip install 'domo-oauth[cli]'" in done.stdout
