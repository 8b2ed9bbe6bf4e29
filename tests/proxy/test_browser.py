"""`domo-oauth proxy`, the local gateway that adds the token: web pages in a real browser do not get through."""

from __future__ import annotations

import pytest

from tests.browser.chromium import chromium, needs_chromium
from tests.proxy.conftest import command, end

pytestmark = [pytest.mark.slow, needs_chromium]
# What a page can try, even one that has the key.
ATTACK = """async ([url, key]) => {
    const body = document.body;
    const ways = [
        () => fetch(url, { mode: "no-cors" }),
        () => fetch(url, { method: "POST", mode: "no-cors", body: "a,b" }),
        () => fetch(url, { headers: { Authorization: `Bearer ${key}` } }),
        () => new Promise((done) => Object.assign(new Image(), { onerror: done, src: url })),
        () => new Promise((done) => {
            body.innerHTML = `<iframe name="frame"></iframe><form method="post" target="frame" action="${url}"></form>`;
            body.querySelector("iframe").onload = done;
            body.querySelector("form").submit();
        }),
    ];
    const seen = [];
    for (const way of ways) seen.push(await way().then((answer) => answer.status || 0, () => "refused"));
    return seen;
}"""
ASK_OWN_ORIGIN = """(key) => fetch("/v1/datasets", { headers: { Authorization: `Bearer ${key}` } })
    .then((answer) => answer.status)"""


def test_a_web_page_does_not_get_through(env, api, wire):
    theirs = wire(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<body>")
    with command("--port", "0") as (process, variables), chromium() as browser:
        url, key = f"{variables['DOMO_PROXY_URL']}/v1/datasets", variables["DOMO_PROXY_KEY"]
        tab = browser.new_page()
        tab.goto(f"http://evil.example:{theirs.url.rpartition(':')[2]}/")
        assert tab.evaluate(ATTACK, [url, key]) == [0, 0, "refused", 0, 0]
        # A name that leads to the page at first, and then to this machine (DNS rebinding).
        assert tab.goto(url.replace("127.0.0.1", "evil.example")).status == 421
        assert tab.evaluate(ASK_OWN_ORIGIN, key) == 421
        log = end(process)
    answers = [line.split()[2:5:2] for line in log.splitlines() if "/v1/datasets" in line]
    before = [["GET", "403"], ["POST", "403"], ["OPTIONS", "403"], ["GET", "403"], ["POST", "403"]]
    assert answers[:5] == before
    assert {*map(tuple, answers[5:])} == {("GET", "421")}  # more than two, as browsers try again after 421
    assert api.requests == []
