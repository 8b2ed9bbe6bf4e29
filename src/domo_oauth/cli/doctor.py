"""``domo-oauth doctor``."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from domo_oauth.base_url import BASE_URL_VARIABLE, resolve_base_url
from domo_oauth.credentials import CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE
from domo_oauth.errors import ConfigurationError, DomoOAuthError

from . import keyring
from .credentials import add_client_arguments, find
from .messages import fit, paint, show_log
from .network import Check
from .network import checks as network_checks
from .options import STORE_VARIABLE, add_store_arguments, chosen_scopes, open_store, store_name

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = """\
  domo-oauth doctor
  domo-oauth doctor --scope data --json

It asks the server twice: once for its time, and once for a token, which it throws away. The exit status is 1 if
anything fails. No line shows a secret."""

_PACKAGES = ("domo-oauth", "httpx", "cryptography", "keyring", "redis")
_NOBODY = "0" * 32
"""The name of the entry that is tried; always the same, as stores may keep something of each name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_store_arguments(parser)
    add_client_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Look at one thing after the other, and print each when it is known."""
    show_log(verbose=args.verbose)
    done: list[Check] = []
    for found in _checks(args):
        check = found._replace(told=fit(found.told))
        done.append(check)
        if not args.json:
            padding = " " * (5 - len(check.verdict))
            print(f"{paint(check.verdict, sys.stdout)}{padding}{check.name:<13}{check.told}", flush=True)
    failed = any(check.verdict == "fail" for check in done)
    if args.json:
        print(json.dumps({"ok": not failed, "checks": [check._asdict() for check in done]}, indent=2))
    return int(failed)


def _checks(args: argparse.Namespace) -> Generator[Check, None, None]:
    yield Check("versions", "ok", _versions())
    yield _environment()
    yield _keyring()
    try:
        base_url = resolve_base_url(args.base_url)
    except ConfigurationError as error:
        yield Check("base URL", "fail", str(error))
    else:
        yield Check("base URL", "ok", base_url)
        yield from network_checks(base_url)
        yield from _token(args, base_url)
    yield _store()


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


def _environment() -> Check:
    names = (CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE, BASE_URL_VARIABLE, STORE_VARIABLE, "SSL_CERT_FILE")
    there = [name for name in names if os.environ.get(name, "").strip()]
    one_alone = (CLIENT_ID_VARIABLE in there) != (CLIENT_SECRET_VARIABLE in there)
    if one_alone:
        return Check("environment", "warn", f"one of {CLIENT_ID_VARIABLE} and {CLIENT_SECRET_VARIABLE}: set both")
    return Check("environment", "ok", f"{', '.join(there)} set" if there else "nothing set")


def _keyring() -> Check:
    try:
        return Check("keyring", "ok", keyring.backend())
    except ConfigurationError as error:
        return Check("keyring", "skip", str(error))


def _token(args: argparse.Namespace, base_url: str) -> Generator[Check, None, None]:
    try:
        client = find(args, base_url)
    except ConfigurationError as error:
        yield Check("credentials", "fail", str(error))
        return
    yield Check("credentials", "ok", f"the client {client.credentials.masked_client_id}, from {client.source}")
    from domo_oauth.request import request_token

    try:
        token = request_token(client.credentials, chosen_scopes(args), base_url=base_url)
    except DomoOAuthError as error:
        yield Check("token", "fail", str(error))
        return
    granted = " ".join(sorted(token.scopes)) or "unknown"
    yield Check("token", "ok", f"for {token.customer or 'an unknown customer'}, scopes {granted}, {token.expires_in} s")


def _store() -> Check:
    """Lock, write, read and remove an entry that no client has."""
    content = os.urandom(64)
    try:
        store = open_store()
        with store.lock(_NOBODY) as obtained:
            store.save(_NOBODY, content, 60.0)
            kept = store.load(_NOBODY)
            store.delete(_NOBODY)
    except Exception as error:  # noqa: BLE001 -- a store may raise anything
        told = str(error) if isinstance(error, DomoOAuthError) else type(error).__name__  # it may hold a password
        return Check("store", "fail", f"{told} Until then every process asks Domo itself.")
    if kept != content:
        return Check("store", "fail", f"{store_name(store)} does not keep what it is given: name another in DOMO_STORE")
    if not obtained:
        return Check("store", "fail", f"{store_name(store)} cannot be locked: name another in DOMO_STORE")
    return Check("store", "ok", f"{store_name(store)} can be locked, written and read")
