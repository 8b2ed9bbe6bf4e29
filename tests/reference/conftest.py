"""All reference servers, started once, and what they answer."""

from contextlib import ExitStack

import pytest

from interop import observe, reference


@pytest.fixture(scope="session")
def urls():
    """Start every server; return the URLs by name."""
    with ExitStack() as stack:
        yield {server.name: stack.enter_context(reference.running(server)) for server in reference.SERVERS}


@pytest.fixture(scope="session")
def url(urls):
    """The URL of the server that fits Domo's responses best."""
    return urls[reference.MAIN.name]


@pytest.fixture(scope="session")
def observed(urls):
    """The answers by the names of server and case."""
    all_cases = {reference.MAIN.name: observe.CASES + observe.DETAILS}
    return {name: observe.answers(url, all_cases.get(name, observe.CASES)) for name, url in urls.items()}
