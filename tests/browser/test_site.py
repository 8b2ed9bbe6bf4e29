"""The documentation in a real browser, from a real server: what `make docs` built last."""

from __future__ import annotations

import re
import threading
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.browser.chromium import chromium, needs_chromium, playwright

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
ROOT = Path(__file__).parents[2]
SITE = ROOT / "build/site"
SHOTS = ROOT / "build/screenshots"
PAGES = sorted(
    file.relative_to(SITE).as_posix()
    for file in SITE.rglob("*.html")
    if not {"_static", "_downloads", "page"} & {*file.relative_to(SITE).parts} and file != SITE / "index.html"
)
pytestmark = [
    pytest.mark.slow,
    needs_chromium,
    pytest.mark.skipif(not PAGES, reason="no site: make docs"),
]
LOOKED_AT = [
    "docs/index.html",
    "docs/tutorial.html",
    "docs/background/token-life.html",
    "docs/background/benchmarks.html",
    "docs/reference/api.html",
    "docs/reference/command.html",
    "docs/reference/errors.html",
    "openapi/README.html",
]
START, DESKTOP, PHONE = "docs/index.html", (1280, 900), (375, 800)
PATIENCE = 60_000  # ms; far more than it takes anywhere


class Links(HTMLParser):
    """The ids of a page, its links, and what a browser loads for it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.page, self.ids, self.links, self.loads = page, set(), set(), set()
        self.feed((SITE / page).read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.add(found["href"])
        if found.get("src") or (tag == "link" and found.get("rel") in {"stylesheet", "icon", "preload", "preconnect"}):
            self.loads.add(found.get("src") or found["href"])


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def origin():
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    playwright.expect.set_options(timeout=PATIENCE)
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser, origin):
    """Open pages; afterwards, no page may have reported an error, or asked another server for anything."""
    contexts, errors, asked = [], [], []

    def open_(page=START, size=DESKTOP, scheme="light", base=origin):
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.on("request", lambda request: asked.append(request.url))
        tab = context.new_page()
        tab.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(f"{base}/{page}")
        return tab

    yield open_
    for context in contexts:
        context.close()
    # Without a server, a browser does not let the search read the pages for its excerpts.
    expected = ("from origin 'null'", "ERR_FAILED", "Failed to fetch")
    assert [error for error in errors if not any(words in error for words in expected)] == []
    assert [url for url in asked if not url.startswith((origin, SITE.as_uri(), "data:"))] == []


def shot(tab, name):
    """Keep a picture for people to look at."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=SHOTS / f"{name}.png")


def problems(tab):
    """What axe finds against WCAG 2.2 AA, and its best practices."""
    found = axe.Axe().run(tab, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]})
    return {
        each["id"]: sorted({node["html"][:150] for node in each["nodes"]})[:5] for each in found.response["violations"]
    }


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere():
    pages = {page: Links(page) for page in PAGES}
    broken = []
    for page, found in pages.items():
        for link in found.links | found.loads:
            if re.match(r"https?:|mailto:", link):
                broken += [(page, link)] * (link in found.loads)
                continue
            found_at = urlsplit(link)
            path, fragment = found_at.path, found_at.fragment
            target = ((SITE / page).parent / unquote(path)).resolve() if path else SITE / page
            name = target.relative_to(SITE).as_posix()
            if not target.is_file() or (fragment and name in pages and unquote(fragment) not in pages[name].ids):
                broken.append((page, link))
    assert broken == []
    assert len(pages) > 40


@pytest.mark.parametrize("page", PAGES)
def test_everybody_can_read_it_also_on_a_phone(visit, page):
    tab = visit(page)
    assert problems(tab) == {}
    playwright.expect(tab.get_by_role("heading", level=1)).to_have_count(1)
    tab.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if page in LOOKED_AT:
        shot(tab, f"phone-{Path(page).stem}")


@pytest.mark.parametrize("page", [START, "docs/reference/api.html", "docs/background/benchmarks.html"])
def test_in_the_dark(visit, page):
    tab = visit(page, scheme="dark")
    shade = tab.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert max(shade[:3]) < 64
    assert problems(tab) == {}
    shot(tab, f"dark-{Path(page).stem}")


def test_on_a_phone_the_menu_opens(visit):
    tab = visit(size=PHONE)
    link = tab.get_by_role("link", name="Tutorial", exact=True)
    playwright.expect(link).not_to_be_in_viewport()
    tab.locator(".nav-overlay-icon").click()
    playwright.expect(link).to_be_in_viewport()
    shot(tab, "phone-menu")
    link.click()
    playwright.expect(tab.get_by_role("heading", level=1)).to_contain_text("Tutorial")


def test_the_keyboard_is_enough(visit):
    tab = visit("docs/sharing.html")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.innerText") == "Skip to content"
    seen = []
    for _ in range(40):
        tab.keyboard.press("Tab")
        seen.append(tab.evaluate("document.activeElement.name || document.activeElement.innerText"))
        ring = tab.evaluate(
            "(({ boxShadow, outlineStyle }) => [boxShadow, outlineStyle])(getComputedStyle(document.activeElement))"
        )
        assert ring != ["none", "none"], seen[-1]  # the focus is visible
        if seen[-1] == "q":
            break
    tab.keyboard.type("pydomo")
    tab.keyboard.press("Enter")
    playwright.expect(tab.get_by_role("link", name="pydomo", exact=True).first).to_be_visible()


@pytest.mark.parametrize("offline", [False, True])
def test_search(visit, origin, offline):
    tab = visit("search.html?q=RedisStore", base=SITE.as_uri() if offline else origin)
    results = tab.locator("#search-results li a")
    playwright.expect(results.filter(has_text="Share a token").first).to_be_visible()
    shot(tab, f"search-{'offline' if offline else 'online'}")


def test_the_contract_is_a_page_of_the_site(visit):
    tab = visit("docs/reference/contract.html")
    tab.get_by_role("link", name="Open the interactive page").click()
    playwright.expect(tab.get_by_role("heading", level=1, name="Get access token")).to_be_visible()
    shot(tab, "contract")


@pytest.mark.parametrize("page", LOOKED_AT)
def test_pictures(visit, page):
    tab = visit(page)
    for figure in tab.locator("figure.drawn").all():
        playwright.expect(figure.get_by_role("img")).to_be_visible()
    shot(tab, f"desktop-{Path(page).stem}")
