"""The pytest fixture ``domo_sandbox``: a token endpoint for the tests of a program that uses Domo.

pytest loads this module in every run where domo-oauth is installed, so it imports nothing but pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domo_oauth.sandbox import Sandbox

__all__ = ["domo_sandbox"]


@pytest.fixture(scope="session")
def _domo_sandbox_process() -> Iterator[Sandbox]:
    """One process for the session, or for each worker of pytest-xdist. No test can block it."""
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
    """A local server that behaves like Domo's token endpoint. DOMO_API_URL and the credentials point at it.

    Each test starts with a sandbox as new, with providers that hold no token of an earlier test, and with an empty
    folder in place of the user's store: for a ``FileStore()`` that the test makes, and in DOMO_STORE for ``from_env``
    and the command. Without the extra ``file``, DOMO_STORE is ``none``.

    ``.url``, ``.client_id``, ``.client_secret`` and ``.env`` lead to it. ``.stats()`` and ``.requests`` show what it
    received. ``.fail_next(503, times=2)`` makes it fail, ``.revoke_tokens()`` invalidates its tokens,
    ``.add_client(...)`` adds a client, and ``.lifetime``, ``.delay`` and ``.datasets`` can be set. See
    :class:`domo_oauth.sandbox.Sandbox`. Its methods work in asynchronous tests, too.
    """
    from domo_oauth.provider import forget_tokens
    from domo_oauth.stores import missing_extra

    _domo_sandbox_process.reset()
    forget_tokens()
    store = str(tmp_path_factory.mktemp("domo-store"))
    named = "none" if missing_extra("file", "cryptography", "filelock", "platformdirs") else store
    for name, value in {**_domo_sandbox_process.env, "DOMO_STORE": named}.items():
        monkeypatch.setenv(name, value)
    # XDG_CACHE_HOME stays: browsers and other things that tests need are there, too.
    monkeypatch.setattr("domo_oauth.stores.file.default_folder", lambda: store)
    return _domo_sandbox_process
