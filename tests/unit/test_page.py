"""The reference page as text, and `tools/page.py`. `tests/browser` looks at it in a browser."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from copy import deepcopy
from html.parser import HTMLParser
from pathlib import Path

import anyio
import httpx
import pytest

from domo_oauth.contract.document import contract, contract_text
from domo_oauth.sandbox import DEMO_CLIENT, Client, Settings, page
from domo_oauth.sandbox.app import create_app
from tools import page as tool

# What would end the element, and what would hide its end.
FILES = {
    "web-components.min.js": "elements = '<!-- <script> </script> é'",
    "styles.min.css": "p { color: red }",
    "LICENSE": "the licence -- and its terms -->",
    "web-components.min.js.LICENSE.txt": "licences of what is inside",
}
OWN_CLIENT = Client(client_id="a<b>ü", client_secret="canary-secret-81d2", scopes=("data",))


@pytest.fixture
def elements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "elements"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(page, "ELEMENTS", folder)
    return folder


@pytest.fixture
def no_elements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "ELEMENTS", tmp_path / "nothing")


class Reader(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.data: dict = {}
        self.comments: list[str] = []
        self.policy = ""
        self._kind = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        assert not {"src", "onclick"} & set(attributes)
        if tag == "script":
            self._kind = attributes.get("type", "script")
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"]

    def handle_data(self, data):
        if self._kind == "script":
            self.scripts.append(data)
        elif self._kind == "application/json":
            self.data = json.loads(data)

    def handle_comment(self, data):
        self.comments.append(data)

    def handle_endtag(self, tag):
        self._kind = ""


def directives(policy: str) -> dict[str, list[str]]:
    return {name: values for name, *values in (each.split() for each in policy.split(";"))}


@pytest.mark.usefixtures("elements")
class TestReferencePage:
    def test_it_may_run_its_own_scripts_and_ask_the_contracts_server_only(self):
        made = page.published_page(contract())
        read = Reader(made.html)
        assert len(read.scripts) == 3
        hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in read.scripts]
        assert read.policy == made.policy
        assert directives(made.policy) == {
            "default-src": ["'none'"],
            "script-src": [f"'sha256-{each}'" for each in hashes],
            "style-src": ["'unsafe-inline'"],
            "img-src": ["data:"],
            "connect-src": ["https://api.domo.com"],
            "base-uri": ["'none'"],
            "form-action": ["'none'"],
        }

    def test_elements_is_as_it_was_but_for_what_html_would_misread(self):
        script = Reader(page.published_page(contract()).html).scripts[1]
        assert script.replace("\\x3c", "<") == FILES["web-components.min.js"]
        assert "<!--" not in script

    def test_its_licences_come_along(self):
        comments = Reader(page.published_page(contract()).html).comments
        assert any(
            "the licence - - and its terms - ->" in each and "licences of what is inside" in each for each in comments
        )

    def test_it_holds_the_contract_with_what_elements_would_leave_out(self):
        before = deepcopy(contract())
        read = Reader(page.published_page(contract()).html)
        assert contract() == before  # which is shared
        assert read.data["sandbox"] is None
        shown = read.data["contract"]
        headers = shown["paths"]["/oauth/token"]["get"]["responses"]["200"]["headers"]
        assert headers.pop("Content-Type")["schema"]["example"] == "application/json;charset=utf-8"
        added = shown["info"]["description"].removeprefix(before["info"]["description"])
        oauth2 = before["components"]["securitySchemes"]["oauth2"]
        assert oauth2["description"] in added
        for name, what in oauth2["flows"]["clientCredentials"]["scopes"].items():
            assert f"| `{name}` | {what} |" in added
        shown["info"]["description"] = before["info"]["description"]
        assert shown == before

    def test_a_contract_cannot_end_its_element(self):
        document = deepcopy(contract())
        document["info"]["title"] = "</script><!-- <b>"
        made = page.published_page(document)
        assert Reader(made.html).data["contract"]["info"]["title"] == document["info"]["title"]
        assert "&lt;/script&gt;&lt;!-- &lt;b&gt;</title>" in made.html

    def test_the_same_contract_gives_the_same_page(self):
        assert page.published_page(contract()) == page.published_page(deepcopy(contract()))

    def test_the_demo_credentials_are_filled_in(self):
        made = page.sandbox_page(contract(), [DEMO_CLIENT])
        read = Reader(made.html)
        assert base64.b64decode(read.data["sandbox"]["basicAuth"]) == b"demo-client:not-a-secret"
        assert read.data["contract"]["servers"][0]["description"] == "This sandbox"
        assert directives(made.policy)["connect-src"] == ["'self'"]

    def test_a_secret_of_somebodys_own_is_not(self):
        made = page.sandbox_page(contract(), [OWN_CLIENT, DEMO_CLIENT])
        filled_in = base64.b64decode(Reader(made.html).data["sandbox"]["basicAuth"])
        assert filled_in.decode() == "a<b>ü:"
        assert OWN_CLIENT.client_secret not in made.html


@pytest.mark.usefixtures("no_elements")
class TestWithoutElements:
    def test_a_short_page_says_what_there_is_and_how_to_get_the_other(self):
        made = page.sandbox_page(contract(), [DEMO_CLIENT])
        for said in (
            "GET /oauth/token",
            "GET /v1/datasets",
            "/_sandbox/contract.yaml",
            "demo-client",
            "not-a-secret",
            "make page",
        ):
            assert said in made.html
        assert Reader(made.html).policy == made.policy
        assert "script-src" not in made.policy

    def test_it_shows_no_secret_of_somebodys_own(self):
        html = page.sandbox_page(contract(), [OWN_CLIENT]).html
        assert "a&lt;b&gt;ü" in html
        assert OWN_CLIENT.client_secret not in html

    def test_the_published_page_cannot_be_made(self):
        with pytest.raises(FileNotFoundError):
            page.published_page(contract())


def ask(path: str) -> httpx.Response:
    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
            answer = await http.get(path)
            assert not any((await http.get("/_sandbox/stats")).json().values())  # looking is no request for a token
            return answer

    app = create_app(Settings())
    return anyio.run(get)


@pytest.mark.parametrize("there", ["elements", "no_elements"])
def test_the_sandbox_serves_it(there: str, request: pytest.FixtureRequest):
    request.getfixturevalue(there)
    answer = ask("/")
    expected = page.sandbox_page(contract(), [DEMO_CLIENT])
    assert (answer.status_code, answer.text) == (200, expected.html)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == f"{expected.policy}; frame-ancestors 'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_sandbox_serves_the_contract():
    answer = ask("/_sandbox/contract.yaml")
    assert (answer.status_code, answer.text) == (200, contract_text())


class TestTool:
    @pytest.fixture
    def tarball(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """What `npm pack` would have brought, with more in it than is wanted."""
        path = tmp_path / "cache" / f"stoplight-elements-{tool.VERSION}.tgz"
        path.parent.mkdir()
        with tarfile.open(path, "w:gz") as archive:
            for name, text in {**FILES, "../../outside": "", "package.json": "{}"}.items():
                member = tarfile.TarInfo(f"package/{name}")
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
        monkeypatch.setattr(tool, "CACHE", path.parent)
        monkeypatch.setattr(page, "ELEMENTS", tmp_path / "elements")
        monkeypatch.setattr("sys.argv", ["page.py", "--out", str(tmp_path / "out")])
        return path

    def test_it_writes_one_file_the_same_each_time(
        self, tarball: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        digest = hashlib.sha512(tarball.read_bytes()).digest()
        monkeypatch.setattr(tool, "SHA512", base64.b64encode(digest).decode())
        tool.main()
        first = (tmp_path / "out" / "index.html").read_bytes()
        tool.main()
        assert (tmp_path / "out" / "index.html").read_bytes() == first
        assert first.decode() == page.published_page(contract()).html
        assert {path.name: path.read_text("utf-8") for path in page.ELEMENTS.iterdir()} == FILES
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["index.html"]

    def test_it_says_so_where_the_registry_cannot_be_reached(self, tarball: Path, monkeypatch: pytest.MonkeyPatch):
        tarball.unlink()
        monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1")
        monkeypatch.setenv("npm_config_fetch_retries", "0")
        with pytest.raises(SystemExit, match=r"ECONNREFUSED[^$]*page: npm cannot fetch Elements"):
            tool.main()

    @pytest.mark.usefixtures("tarball")
    def test_it_takes_no_other_package_than_the_pinned_one(self):
        with pytest.raises(SystemExit, match="is not what was published as Elements"):
            tool.main()
        assert not page.ELEMENTS.exists()
