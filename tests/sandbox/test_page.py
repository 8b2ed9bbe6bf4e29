"""The reference page as text, and ``tools/page.py``. tests/browser looks at it in a browser."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import tarfile
import zipfile
from copy import deepcopy
from pathlib import Path

import pytest

from domo_oauth.contract import contract
from domo_oauth.sandbox import DEMO_CLIENT, Client, Stats, page
from tools import page as tool

# What would end the element, and what would hide its end.
FILES = {
    "web-components.min.js": "elements = '<!-- <script> </script> $title é'",
    "styles.min.css": "p { color: red }",
    "LICENSE": "the licence -- and its terms -->",
    "web-components.min.js.LICENSE.txt": "licences of what is inside",
}
OWN_CLIENT = Client(client_id="a<b>ü", client_secret="canary-secret-81d2", scopes=("data",))


@pytest.fixture
def elements(tmp_path, monkeypatch) -> None:
    """In a zip, as within a zip app."""
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        for name, text in FILES.items():
            archive.writestr(f"elements/{name}", text)
    monkeypatch.setattr(page, "ELEMENTS", zipfile.Path(tmp_path / "app.zip") / "elements")


@pytest.fixture
def no_elements(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(page, "ELEMENTS", tmp_path / "nothing")


def data(html: str) -> dict:
    """What the page hands to Elements."""
    return json.loads(re.search(r'<script type="application/json" id="page">(.*?)</script>', html)[1])


@pytest.mark.usefixtures("elements")
class TestReferencePage:
    def test_it_may_run_its_own_scripts_and_ask_the_contracts_server_only(self):
        html = page.published_page(contract())
        scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
        assert len(scripts) == 3
        hashes = (base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in scripts)
        allowed = " ".join(f"'sha256-{each}'" for each in hashes)
        policy = (
            f"default-src 'none'; script-src {allowed}; connect-src https://api.domo.com; "
            "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
        )
        assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in html

    def test_elements_is_unchanged_except_for_what_html_would_misread(self):
        html = page.published_page(contract())
        assert FILES["web-components.min.js"].replace("<!--", "\\x3c!--").replace("</", "\\x3c/") in html
        assert "\nthe licence - - and its terms - ->\nlicences of what is inside\n-->" in html

    def test_a_contract_cannot_end_its_element(self):
        document = deepcopy(contract())
        document["info"]["title"] = "</script><!-- <b>"
        html = page.published_page(document)
        assert data(html)["contract"]["info"]["title"] == document["info"]["title"]
        assert "&lt;/script&gt;&lt;!-- &lt;b&gt;</title>" in html
        assert data(html)["sandbox"] is None

    @pytest.mark.parametrize(
        ("clients", "filled_in"),
        [([DEMO_CLIENT], "demo-client:not-a-secret"), ([OWN_CLIENT, DEMO_CLIENT], "a<b>ü:")],
    )
    def test_only_the_public_credentials_are_filled_in(self, clients, filled_in):
        html = page.sandbox_page(contract(), clients)
        assert base64.b64decode(data(html)["sandbox"]["basicAuth"]).decode() == filled_in
        assert "connect-src 'self';" in html
        assert OWN_CLIENT.client_secret not in html


@pytest.mark.parametrize("there", ["elements", "no_elements"])
def test_the_sandbox_serves_it_or_a_short_page_that_says_how_to_get_it(there, request, sandbox):
    request.getfixturevalue(there)
    answer = sandbox.get("/")
    assert (answer.status_code, answer.text) == (200, page.sandbox_page(contract(), [DEMO_CLIENT]))
    assert ("make page" in answer.text) == ("script-src" not in answer.text) == (there == "no_elements")
    assert dict(answer.headers) | {"content-length": ""} == {
        "cache-control": "no-store",
        "content-length": "",
        "content-security-policy": "frame-ancestors 'none'",
        "content-type": "text/html; charset=utf-8",
        "x-content-type-options": "nosniff",
    }
    assert sandbox.stats() == Stats()


class TestTool:
    @pytest.fixture
    def tarball(self, tmp_path, monkeypatch) -> Path:
        """What `npm pack` would have brought, with more in it than is wanted."""
        path = tmp_path / "cache" / f"stoplight-elements-{tool.VERSION}.tgz"
        path.parent.mkdir()
        with tarfile.open(path, "w:gz") as archive:
            for name, text in {**FILES, "../../outside": "", "package.json": "{}"}.items():
                member = tarfile.TarInfo(f"package/{name}")
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
        monkeypatch.setattr(tool, "CACHE", path.parent)
        monkeypatch.setattr(tool, "OUT", tmp_path / "out" / "index.html")
        for module in (tool, page):
            monkeypatch.setattr(module, "ELEMENTS", tmp_path / "elements")
        return path

    def test_it_writes_one_file(self, tarball, monkeypatch):
        digest = hashlib.sha512(tarball.read_bytes()).digest()
        monkeypatch.setattr(tool, "SHA512", base64.b64encode(digest).decode())
        tool.main()
        assert tool.OUT.read_text("utf-8") == page.published_page(contract())
        assert {path.name: path.read_text("utf-8") for path in tool.ELEMENTS.iterdir()} == FILES
        assert list(tool.OUT.parent.iterdir()) == [tool.OUT]

    def test_it_takes_only_the_pinned_package(self, tarball):
        with pytest.raises(SystemExit, match=f"{re.escape(tarball.name)} differs from the published Elements"):
            tool.main()
        assert not tool.ELEMENTS.exists()
