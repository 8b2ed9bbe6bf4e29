"""The pytest fixture ``domo_sandbox``: a token endpoint of one's own for the tests of a program that uses Domo.

pytest loads this module in every run, wherever domo-oauth is installed, so it imports nothing but pytest.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domo_oauth.sandbox import Sandbox

__all__ = ["domo_sandbox"]


@pytest.fixture(scope="session")
def _domo_sandbox_process() -> Iterator[Sandbox]:
    """One process for the session, and one for each worker of pytest-xdist; apart, so that no test can block it."""
    from domo_oauth.errors import ConfigurationError
    from domo_oauth.sandbox import running

    try:
        with running() as sandbox:
            yield sandbox
    except ConfigurationError as error:
        pytest.fail(f"domo_sandbox: {error}", pytrace=False)


@pytest.fixture
def domo_sandbox(
    _domo_sandbox_process: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Sandbox:
    """A local server that behaves like Domo's token endpoint; DOMO_API_URL and the credentials are set for it.

    Each test starts with counts of zero, with providers that hold no token of an earlier test, and with an empty folder
    in place of the user's store: for ``FileStore()``, where the test makes it, and in DOMO_STORE for the command. Other
    processes that the test starts must be told: ``FileStore(os.environ["DOMO_STORE"])``.

    ``.url``, ``.client_id``, ``.client_secret`` and ``.env`` lead to it; ``.stats()`` tells what it was asked,
    ``.revoke_tokens()`` makes its tokens invalid, ``.reset()`` sets the counts to zero.
    """
    _domo_sandbox_process.reset()
    if provider := sys.modules.get("domo_oauth.provider"):
        provider.forget_tokens()
    store = str(tmp_path_factory.mktemp("domo-store"))
    for name, value in {**_domo_sandbox_process.env, "DOMO_STORE": store}.items():
        monkeypatch.setenv(name, value)
    # Not by the variables that say where caches are: browsers and much else that tests need lie there, too.
    monkeypatch.setattr("domo_oauth.stores.file._default", lambda: store)
    return _domo_sandbox_process
