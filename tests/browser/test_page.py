"""The reference page in a real browser, on a real sandbox; and pages of other origins, which get nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from domo_oauth.contract.document import contract
from domo_oauth.sandbox import Sandbox, Stats, page, running
from tests.browser.chromium import chromium, needs_chromium, playwright

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
    pytest.mark.skipif(not (page.ELEMENTS / page.SCRIPT).is_file(), reason="no Elements: make page"),
]

OPERATION = contract()["paths"]["/oauth/token"]["get"]
DOCUMENTATION = Path(__file__).parents[2] / "openapi/recordings/recorded-2022-documentation-page.har"
DESKTOP, PHONE = (1280, 900), (375, 800)
PATIENCE = 60_000  # ms; far more than it takes anywhere
# Elements that scroll vertically and are wider than the window. Code boxes may be.
TOO_WIDE = """[...document.querySelectorAll(":not(.sl-code-viewer__scroller)")]
    .filter((each) => ["auto", "scroll"].includes(getComputedStyle(each).overflowY))
    .filter((each) => each.scrollWidth > innerWidth)
    .map((each) => each.outerHTML.slice(0, 200))"""


@dataclass
class Visit:
    """An open page, the URLs that it requested, and its errors."""

    tab: object
    origin: str
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def text(self) -> str:
        more = self.tab.get_by_text("Show all...")
        while more.count():
            more.first.click()
        return bare(self.tab.inner_text("body"))

    def send(self, status: str) -> dict:
        """Press Send, and read the response that the page shows."""
        self.tab.get_by_role("button", name="Send API Request").click()
        return self.answer(status)

    def answer(self, status: str) -> dict:
        return json.loads(self.tab.get_by_text(status, exact=True).locator("xpath=following::pre[1]").inner_text())

    def expect_errors(self, what: str) -> None:
        """Forget what the browser says about a refused request."""
        assert {what in each for each in self.errors} == {True}
        self.errors.clear()

    def open_security(self) -> None:
        self.tab.get_by_text("Security: Basic Auth").click()
        playwright.expect(self.tab.get_by_text("HTTP Basic authentication (RFC 7617)")).to_be_visible()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    playwright.expect.set_options(timeout=PATIENCE)
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running(quiet=True) as started:
        yield started


@pytest.fixture
def visit(browser, sandbox) -> Iterator[Callable[..., Visit]]:
    visits: list[Visit] = []

    def open_(size: tuple[int, int] = DESKTOP, path: str = "", url: str = "", heading: str = "") -> Visit:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]})
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
    for each in visits:
        each.tab.context.close()
        assert each.errors == []
        assert [url for url in each.requests if not url.startswith(each.origin)] == []


def bare(text: str) -> str:
    """Words without markup, so that Markdown and what a browser makes of it can be compared."""
    text = re.sub(r"\[([^]]*)\]\(http[^)]*\)", r"\1", text)
    text = re.sub(r"(?m)^\s*(#+|-|\d\.)\s+|^\|[-|]+\|$", "", text)
    return re.sub(r"[\s`*|]", "", text).casefold()


def resolved(value: dict) -> dict:
    """The target of a reference in the contract."""
    if "$ref" not in value:
        return value
    found = contract()
    for name in value["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def test_it_shows_the_operation_and_all_that_domos_page_shows(visit):
    opened = visit()
    opened.open_security()
    shown = opened.text()
    response = json.loads(DOCUMENTATION.read_text())["log"]["entries"][0]["response"]
    for phrase in (
        OPERATION["description"],
        f"GET {opened.origin}/oauth/token",
        contract()["components"]["securitySchemes"]["basicAuth"]["description"],
        *(f"{each['name']} string" for each in OPERATION["parameters"]),
        *(each["description"] for each in OPERATION["parameters"]),
        *(example["value"] for each in OPERATION["parameters"] for example in each["examples"].values()),
        *("Body application/json", "Auth Username : Password :", "Parameters grant_type* :", "Send API Request"),
        *("Request Sample: Shell / cURL", "grant_type=client_credentials", "--header 'Accept: application/json'"),
        "Response Example: documentationPage",
        *(f'"{name}": {json.dumps(value)}' for name, value in json.loads(response["content"]["text"]).items()),
    ):
        assert bare(phrase) in shown, phrase
    for header in response["headers"]:
        part = shown.partition(bare(f"{header['name']} string"))[2]
        assert bare(f"Example: {header['value']}") in part, header["name"]


def test_it_shows_every_response_with_its_headers_and_the_fields_of_its_schema(visit):
    opened = visit()
    tabs = opened.tab.get_by_role("tablist")
    assert tabs.evaluate("(shown) => shown.scrollWidth <= shown.clientWidth")  # none is out of sight
    for status, response in OPERATION["responses"].items():
        opened.tab.get_by_role("tab", name=status, exact=True).click()
        playwright.expect(opened.tab.get_by_role("tabpanel")).to_contain_text(response["description"].partition(".")[0])
        shown = opened.text()
        schema = resolved(response["content"]["application/json"]["schema"])
        phrases = [response["description"], schema["description"]]
        for name, reference in response.get("headers", {}).items():
            header = resolved(reference)
            required = "required" if header.get("required") else ""
            phrases += [f"{name} string {required} {header['description']}", header["schema"]["example"]]
        for name, field_ in schema["properties"].items():
            phrases += [name + field_.get("type", "any"), field_["description"], str(field_["example"])]
        assert [phrase for phrase in phrases if bare(phrase) not in shown] == [], status


def test_the_overview_shows_the_whole_and_the_other_security_scheme(visit, sandbox):
    opened = visit(path="#/", heading=contract()["info"]["title"])
    schemes = contract()["components"]["securitySchemes"]
    scopes = schemes["oauth2"]["flows"]["clientCredentials"]["scopes"]
    for phrase in (
        contract()["info"]["description"].replace("https://api.domo.com", sandbox.url),
        *(scheme["description"] for scheme in schemes.values()),
        *(name + what for name, what in scopes.items()),
        f"v{contract()['info']['version']}",
    ):
        assert bare(phrase) in opened.text()


def test_the_demo_credentials_get_a_token_and_no_more_than_their_scopes(visit, sandbox):
    sandbox.reset()
    opened = visit()
    assert opened.tab.get_by_label("Username").input_value() == sandbox.client_id
    assert opened.tab.get_by_label("Password").get_attribute("type") == "password"
    assert opened.send("200 OK")["scope"] == "audit dashboard data user"
    opened.tab.get_by_label("scope", exact=True).fill("buzz")
    assert opened.send("400 Bad Request")["error"] == "invalid_scope"
    assert sandbox.stats() == Stats(token_requests=2, tokens_issued=1, invalid_scope=1)
    opened.expect_errors("400")


def test_a_wrong_secret_gets_the_401_and_is_not_kept(visit):
    opened = visit()
    secret = opened.tab.get_by_label("Password")
    secret.fill("canary-secret-0d1f")
    assert opened.send("401 Unauthorized")["message"] == "Unauthorized"
    opened.expect_errors("401")
    assert opened.tab.context.storage_state()["origins"] == []
    opened.tab.reload()
    playwright.expect(secret).to_have_value("not-a-secret")
    assert "canary" not in "".join(opened.requests)


def test_it_can_ask_nobody_else(visit):
    opened = visit()
    refused = opened.tab.evaluate("""() => new Promise((resolve) => {
        addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective), { once: true });
        fetch("http://127.0.0.1:9/").catch(() => setTimeout(resolve, 5000, "nothing"));
    })""")
    assert refused == "connect-src"
    opened.expect_errors("Content Security Policy")


def test_it_fits_a_phone(visit):
    opened = visit(PHONE)
    opened.open_security()
    opened.send("200 OK")
    assert opened.tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert opened.tab.evaluate(TOO_WIDE) == []
    url = opened.tab.get_by_text(f"{opened.origin}/oauth/token", exact=True).first
    assert url.evaluate("(shown) => shown.scrollWidth <= shown.clientWidth")  # the path of the endpoint is whole


def test_the_keyboard_is_enough_and_a_screen_reader_finds_its_way(visit):
    opened = visit()
    assert opened.tab.evaluate("document.documentElement.lang") == "en"
    assert opened.tab.title() == "Get access token - Domo OAuth API"
    playwright.expect(opened.tab.get_by_role("main")).to_have_count(1)
    playwright.expect(opened.tab.get_by_role("heading", level=1)).to_have_count(1)
    for name in ("Request", "Responses"):
        playwright.expect(opened.tab.get_by_role("heading", level=2, name=name, exact=True)).to_have_count(1)
    for name in ("Username", "Password", "scope"):
        playwright.expect(opened.tab.get_by_label(name, exact=True)).to_have_count(1)
    for _ in range(60):
        opened.tab.keyboard.press("Tab")
        if opened.tab.evaluate("document.activeElement.innerText") == "Send API Request":
            break
    style = "(({ boxShadow, outlineStyle }) => [boxShadow, outlineStyle])(getComputedStyle(document.activeElement))"
    assert opened.tab.evaluate(style) != ["none", "none"]  # the focus is visible
    opened.tab.keyboard.press("Enter")
    assert opened.answer("200 OK")["token_type"] == "bearer"


def test_the_published_page_is_one_file_that_asks_for_nothing(visit, tmp_path):
    file = tmp_path / "index.html"
    file.write_text(page.published_page(contract()), encoding="utf-8")
    opened = visit(url=file.as_uri())
    assert bare("GET https://api.domo.com/oauth/token") in opened.text()
    assert opened.tab.get_by_label("Username").input_value() == ""
    assert opened.requests == [file.as_uri()]


ATTACK = """async (url) => {
    const ways = [
        () => fetch(`${url}/oauth/token?grant_type=client_credentials`, { mode: "no-cors" }),
        () => fetch(`${url}/oauth/token`, { headers: { Authorization: "Basic ZGVtby1jbGllbnQ6bm90LWEtc2VjcmV0" } }),
        () => fetch(`${url}/_sandbox/requests`),
        () => fetch(`${url}/_sandbox/fail`, { method: "POST", mode: "no-cors", body: '{"status": 503}' }),
        () => new Promise((done) => Object.assign(new Image(), { onerror: done, src: `${url}/v1/datasets` })),
        () => new Promise((done) => {
            document.body.innerHTML = `<iframe name="frame"></iframe><form method="post" enctype="text/plain"
                target="frame" action="${url}/_sandbox/fail"><input name='{"status": 503, "a' value='": 1}'></form>`;
            document.querySelector("iframe").onload = done;
            document.querySelector("form").submit();
        }),
    ];
    const seen = [];
    for (const way of ways) seen.push(await way().then((answer) => answer.status || 0, () => "refused"));
    return seen;
}"""


@pytest.mark.parametrize("host", ["127.0.0.1", "evil.example"])
def test_a_page_of_another_origin_can_do_nothing_but_link_to_it(browser, sandbox, wire, host):
    sandbox.reset()
    theirs = wire(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<body>")
    tab = browser.new_page()
    tab.goto(f"http://{host}:{theirs.url.rpartition(':')[2]}/")
    assert tab.evaluate(ATTACK, sandbox.url) == [0, "refused", "refused", 0, 0, 0]
    assert (sandbox.stats(), sandbox.requests) == (Stats(), [])
    tab.evaluate("(url) => { location = url }", sandbox.url)
    tab.wait_for_url(f"{sandbox.url}/**")
    playwright.expect(tab.get_by_role("heading", level=1)).to_be_visible(timeout=PATIENCE)
    tab.close()
