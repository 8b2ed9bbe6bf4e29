"""The reference page as people use it: in a real browser, on a real sandbox."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from domo_oauth.contract.document import contract
from domo_oauth.sandbox import Sandbox, page, running

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: make system"),
    pytest.mark.skipif(not (page.ELEMENTS / page.SCRIPT).is_file(), reason="the page is not made: make page"),
]

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "page" / "screenshots"
OPERATION = contract()["paths"]["/oauth/token"]["get"]
DESKTOP, PHONE = (1280, 900), (375, 800)
PATIENCE = 60_000  # ms; far more than it takes anywhere
# What scrolls up and down and is wider than the window. Boxes of code may be.
TOO_WIDE = """[...document.querySelectorAll(":not(.sl-code-viewer__scroller)")]
    .filter((each) => ["auto", "scroll"].includes(getComputedStyle(each).overflowY))
    .filter((each) => each.scrollWidth > innerWidth)
    .map((each) => each.outerHTML.slice(0, 200))"""


@dataclass
class Visit:
    """A page that was opened, all that it asked for, and what it complained of."""

    tab: object
    origin: str
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def text(self) -> str:
        return bare(self.tab.inner_text("body"))

    def button(self, name: str):
        return self.tab.get_by_role("button", name=name)

    def send(self, status: str) -> dict:
        """Press Send, and read the answer that the page shows."""
        self.button("Send API Request").click()
        return self.answer(status)

    def answer(self, status: str) -> dict:
        return json.loads(self.tab.get_by_text(status, exact=True).locator("xpath=following::pre[1]").inner_text())

    def expect_errors(self, what: str) -> None:
        """Forget what the browser itself says of an answer, or of a request, that was refused."""
        assert self.errors
        assert [each for each in self.errors if what not in each] == []
        self.errors.clear()

    def unfold(self) -> None:
        """Open what is folded up: the security scheme and long descriptions."""
        self.tab.get_by_text("Security: Basic Auth").click()
        playwright.expect(self.tab.get_by_text("HTTP Basic authentication (RFC 7617)")).to_be_visible()
        self.unfold_descriptions()

    def unfold_descriptions(self) -> None:
        more = self.tab.get_by_text("Show all...")
        while more.count():
            more.first.click()

    def screenshot(self, name: str, **options: object) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.tab.screenshot(path=SCREENSHOTS / f"{name}.png", **options)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    playwright.expect.set_options(timeout=PATIENCE)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running(quiet=True, validate_responses=True) as started:
        yield started


@pytest.fixture
def visit(browser, sandbox: Sandbox) -> Iterator[Callable[..., Visit]]:
    contexts: list = []
    visits: list[Visit] = []

    def open_(size: tuple[int, int] = DESKTOP, path: str = "", url: str = "", heading: str = "") -> Visit:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        visited = Visit(context.new_page(), url or sandbox.url)
        visits.append(visited)
        context.on("request", lambda request: visited.requests.append(request.url))
        visited.tab.on("console", lambda said: visited.errors.append(said.text) if said.type == "error" else None)
        visited.tab.on("pageerror", lambda error: visited.errors.append(str(error)))
        visited.tab.goto(url or f"{sandbox.url}/{path}")
        title = visited.tab.get_by_role("heading", level=1, name=heading or OPERATION["summary"], exact=True)
        playwright.expect(title).to_be_visible()
        return visited

    yield open_
    for each in contexts:
        each.close()
    for each in visits:
        assert each.errors == []
        assert [url for url in each.requests if not url.startswith(each.origin)] == []


def bare(text: str) -> str:
    """Words without markup: of Markdown, and of what a browser makes of it, so that both can be compared."""
    text = re.sub(r"\[([^]]*)\]\(http[^)]*\)", r"\1", text)
    text = re.sub(r"(?m)^\s*(#+|-|\d\.)\s+|^\|[-|]+\|$", "", text)
    return re.sub(r"[\s`*|]", "", text).casefold()


def resolved(value: dict) -> dict:
    """What a reference of the contract is to."""
    if "$ref" not in value:
        return value
    found = contract()
    for name in value["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


class TestWhatItSays:
    def test_the_operation_and_its_parameters(self, visit):
        opened = visit()
        opened.unfold()
        shown = opened.text()
        assert bare(OPERATION["description"]) in shown
        assert bare(f"GET {opened.origin}/oauth/token") in shown
        assert bare(contract()["components"]["securitySchemes"]["basicAuth"]["description"]) in shown
        for parameter in OPERATION["parameters"]:
            assert bare(parameter["name"] + "string") in shown
            assert bare(parameter["description"]) in shown
            for example in parameter["examples"].values():
                assert bare(example["value"]) in shown
        opened.screenshot("desktop-all", full_page=True)

    def test_every_response_with_its_headers_and_the_fields_of_both_schemas(self, visit):
        opened = visit()
        tabs = opened.tab.get_by_role("tablist")
        assert tabs.evaluate("(shown) => shown.scrollWidth <= shown.clientWidth")  # none is out of sight
        for status, response in OPERATION["responses"].items():
            opened.tab.get_by_role("tab", name=status, exact=True).click()
            panel = opened.tab.get_by_role("tabpanel")
            playwright.expect(panel).to_contain_text(response["description"].partition(".")[0])
            opened.unfold_descriptions()
            shown = bare(panel.inner_text())
            assert bare(response["description"]) in shown
            for name, reference in response.get("headers", {}).items():
                header = resolved(reference)
                required = "required" if header.get("required") else ""
                assert bare(f"{name} string {required} {header['description']}") in shown, (status, name)
                assert bare(header["schema"]["example"]) in shown, (status, name)
            schema = resolved(response["content"]["application/json"]["schema"])
            assert bare(schema["description"]) in shown
            for name, field_ in schema["properties"].items():
                assert bare(name + field_["type"]) in shown, (status, name)
                assert bare(field_["description"]) in shown, (status, name)
                assert bare(str(field_["example"])) in shown, (status, name)

    def test_the_overview_tells_of_the_whole_and_of_the_other_security_scheme(self, visit, sandbox):
        opened = visit(path="#/", heading=contract()["info"]["title"])
        shown = opened.text()
        assert bare(contract()["info"]["description"].replace("https://api.domo.com", sandbox.url)) in shown
        for scheme in contract()["components"]["securitySchemes"].values():
            assert bare(scheme["description"]) in shown
        for name, what in scheme["flows"]["clientCredentials"]["scopes"].items():
            assert bare(name + what) in shown
        assert bare(f"v{contract()['info']['version']}") in shown
        opened.screenshot("overview", full_page=True)

    def test_nothing_is_missing_that_is_on_domos_page(self, visit):
        opened = visit()
        assert bare("responses / 200") in opened.text()  # which scrolls out of its frame below
        opened.unfold()
        shown = opened.text()
        for phrase in (
            "Get access token",
            "client id serves as the user name and the client secret as the password",
            "Security: Basic Auth",
            "Query Parameters",
            "grant_type string required The type of access token",
            "Example: client_credentials",
            "scope string The scopes of the token: a subset of those that were granted to the client",
            "to limit which parts of the APIs the token may be used for",
            "separated by one space",
            "account, dashboard, data",
            *(f"{name} " for name in ("account", "audit", "buzz", "dashboard", "data", "user")),
            "Body application/json",
            *(f"{name} string" for name in ("customer", "jti", "role", "scope", "token_type", "access_token")),
            *(f"{name} integer" for name in ("expires_in", "userId")),
            "Auth Username : Password :",
            "Parameters grant_type* :",
            "Send API Request",
            "Request Sample: Shell / cURL",
            f"{opened.origin}/oauth/token",
            "grant_type=client_credentials",
            "--header 'Accept: application/json'",
            "Response Example: documentationPage",
        ):
            assert bare(phrase) in shown, phrase
        # That page as a recording: each header with its value, and the answer as it stands there.
        recording = ROOT / "openapi" / "recordings" / "recorded-2022-documentation-page.har"
        response = json.loads(recording.read_text())["log"]["entries"][0]["response"]
        assert len(response["headers"]) == 13
        for header in response["headers"]:
            part = shown.partition(bare(f"{header['name']} string"))[2]
            assert bare(f"Example: {header['value']}") in part, header["name"]
        for name, value in json.loads(response["content"]["text"]).items():
            assert bare(f'"{name}": {json.dumps(value)}') in shown, name
        opened.tab.get_by_role("link", name="Overview").click()
        playwright.expect(opened.tab.get_by_text("To interact with Domo's APIs through OAuth security")).to_be_visible()


class TestSending:
    def test_the_demo_credentials_get_a_token_and_no_more_than_their_scopes(self, visit, sandbox):
        sandbox.reset()
        opened = visit()
        assert opened.tab.get_by_label("Username").input_value() == sandbox.client_id
        assert opened.tab.get_by_label("Password").get_attribute("type") == "password"
        opened.screenshot("desktop")
        token = opened.send("200 OK")
        assert token["token_type"] == "bearer"
        assert token["customer"] == "sandbox"
        assert token["scope"] == "audit dashboard data user"
        opened.screenshot("sent")
        opened.tab.get_by_label("scope", exact=True).fill("data user")
        opened.button("Send API Request").click()
        playwright.expect(opened.tab.get_by_text('"data user"').first).to_be_visible()
        opened.tab.get_by_label("scope", exact=True).fill("buzz")
        assert opened.send("400 Bad Request")["error"] == "invalid_scope"
        counted = sandbox.stats()
        assert (counted.token_requests, counted.tokens_issued, counted.invalid_scope) == (3, 2, 1)
        assert counted.outside_contract == 0
        opened.expect_errors("400")

    def test_a_wrong_secret_gets_the_401_and_is_not_kept(self, visit):
        opened = visit()
        secret = opened.tab.get_by_label("Password")
        secret.fill("canary-secret-0d1f")
        assert opened.send("401 Unauthorized")["message"] == "Bad credentials"
        opened.screenshot("refused")
        opened.expect_errors("401")
        assert opened.tab.context.storage_state()["origins"] == []
        opened.tab.reload()
        playwright.expect(secret).to_have_value("not-a-secret")
        assert "canary" not in "".join(opened.requests)

    def test_it_can_ask_nobody_else(self, visit):
        opened = visit()
        refused = opened.tab.evaluate("""() => new Promise((resolve) => {
            addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective), { once: true });
            fetch("http://127.0.0.1:9/").catch(() => setTimeout(resolve, 5000, "nothing"));
        })""")
        assert refused == "connect-src"
        opened.expect_errors("Content Security Policy")


class TestForEverybody:
    def test_it_fits_a_phone(self, visit):
        opened = visit(PHONE)
        opened.screenshot("phone")
        opened.unfold()
        opened.send("200 OK")
        assert opened.tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        # Nor does anything that scrolls within the page, and the path of the endpoint is whole.
        assert opened.tab.evaluate(TOO_WIDE) == []
        url = opened.tab.get_by_text(f"{opened.origin}/oauth/token", exact=True).first
        assert url.evaluate("(shown) => shown.scrollWidth <= shown.clientWidth")
        opened.screenshot("phone-all", full_page=True)

    def test_the_keyboard_is_enough(self, visit):
        opened = visit()
        for _ in range(60):
            opened.tab.keyboard.press("Tab")
            if opened.tab.evaluate("document.activeElement.innerText") == "Send API Request":
                break
        style = "(({ boxShadow, outlineStyle }) => [boxShadow, outlineStyle])(getComputedStyle(document.activeElement))"
        assert opened.tab.evaluate(style) != ["none", "none"]  # where one is can be seen
        opened.screenshot("keyboard")
        opened.tab.keyboard.press("Enter")
        assert opened.answer("200 OK")["token_type"] == "bearer"

    def test_a_screen_reader_finds_its_way(self, visit):
        opened = visit()
        assert opened.tab.evaluate("document.documentElement.lang") == "en"
        assert opened.tab.title() == "Get access token - Domo OAuth API"
        playwright.expect(opened.tab.get_by_role("main")).to_have_count(1)
        playwright.expect(opened.tab.get_by_role("heading", level=1)).to_have_count(1)
        for name in ("Request", "Responses"):
            playwright.expect(opened.tab.get_by_role("heading", level=2, name=name, exact=True)).to_have_count(1)
        for name in ("Username", "Password", "scope"):
            playwright.expect(opened.tab.get_by_label(name, exact=True)).to_have_count(1)


def test_the_published_page_is_one_file_that_asks_for_nothing(visit, tmp_path):
    file = tmp_path / "index.html"
    file.write_text(page.published_page(contract()).html, encoding="utf-8")
    opened = visit(url=file.as_uri())
    assert bare("GET https://api.domo.com/oauth/token") in opened.text()
    assert opened.tab.get_by_label("Username").input_value() == ""
    assert opened.requests == [file.as_uri()]
