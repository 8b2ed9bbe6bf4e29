"""`domo-oauth doctor`: what works and what does not, from this machine's set-up to a token."""

from __future__ import annotations

import json
import os
import platform
import socket
import ssl
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from domo_oauth.base_url import BASE_URL_VARIABLE
from domo_oauth.credentials import CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE, ClientCredentials
from domo_oauth.errors import ConfigurationError, DomoOAuthError, InvalidClientError
from domo_oauth.stores import STORE_VARIABLE

from . import keyring
from .credentials import SECRET_FILE_VARIABLE, find
from .messages import fit
from .options import chosen_scopes, chosen_store, client_options, json_option, scope_options, store_name

if TYPE_CHECKING:
    from collections.abc import Generator

    import httpx

_PACKAGES = ("domo-oauth", "httpx", "cryptography", "keyring", "redis")
_VARIABLES = (
    *(CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE, SECRET_FILE_VARIABLE),
    *(BASE_URL_VARIABLE, STORE_VARIABLE, "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
_COLORS = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "bright_black"}
_NOBODY = ClientCredentials("domo-oauth-doctor", "not-a-secret")
"""Who asks if there are no credentials, so that the network is checked all the same."""
_ENTRY = "0" * 32
"""The name of the store's entry that is tried; always the same, as stores may keep something of each name."""
_SOON, _DAY, _CLOCK_SLACK = 14, 86400.0, 60.0  # days, seconds, seconds


class Check(NamedTuple):
    """What was checked, the verdict (ok, warn, fail or skip), and what was found or what to do."""

    name: str
    verdict: str
    told: str


@click.command
@json_option
@scope_options
@client_options
def doctor(scope: tuple[str, ...], custom_scope: tuple[str, ...], *, as_json: bool, **client: Any) -> int:
    """Check step by step what works and what does not.

    It requests one token, which it throws away. The exit status is 1 if anything fails. No line shows a secret.

    \b
    Examples:
      domo-oauth doctor
      domo-oauth doctor --scope data --json
    """
    color = False if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb" else None
    done: list[Check] = []
    for check in _checks(chosen_scopes(scope, custom_scope), client):
        done.append(check._replace(told=fit(check.told)))
        if not as_json:
            verdict = click.style(check.verdict, fg=_COLORS[check.verdict])
            click.echo(f"{verdict}{' ' * (5 - len(check.verdict))}{check.name:<13}{done[-1].told}", color=color)
    failed = any(check.verdict == "fail" for check in done)
    if as_json:
        click.echo(json.dumps({"ok": not failed, "checks": [check._asdict() for check in done]}, indent=2))
    return int(failed)


def _checks(scopes: tuple[str, ...] | None, client: dict[str, Any]) -> Generator[Check]:
    yield Check("versions", "ok", ", ".join([f"Python {platform.python_version()}", *map(_version, _PACKAGES)]))
    there = [name for name in _VARIABLES if os.environ.get(name, "").strip()]
    yield Check("environment", "ok", f"{', '.join(there)} set" if there else "nothing set")
    try:
        yield Check("keyring", "ok", keyring.backend())
    except ConfigurationError as error:
        yield Check("keyring", "skip", str(error))
    yield Check("base URL", "ok", client["base_url"])
    found = None
    try:
        found = find(**client)
        yield Check("credentials", "ok", f"the client {found.credentials.masked_client_id}, from {found.source}")
    except ConfigurationError as error:
        yield Check("credentials", "fail", str(error))
    yield from _request(found.credentials if found else None, scopes, client["base_url"])
    yield _store()


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def _request(credentials: ClientCredentials | None, scopes: tuple[str, ...] | None, base_url: str) -> Generator[Check]:
    """Request a token, and report how far the request gets while it is on its way."""
    from domo_oauth.request import request_token
    from domo_oauth_client.client import environment_proxy

    try:
        proxy = environment_proxy(base_url)
    except ValueError as error:
        how = "it must look like http://user:password@host:3128, with special characters percent-encoded"
        yield Check("proxy", "fail", f"{error}: {how}")
        return
    yield Check("proxy", "ok", f"{proxy.rpartition('@')[2]}, from the environment or the system" if proxy else "none")
    steps, started = SimpleQueue[Check | None](), dict[str, Any]()

    def on_event(event: str, info: dict[str, Any]) -> None:  # such as connection.connect_tcp.failed
        started.update(info)
        for check in _steps(event.split(".")[1:], started):
            steps.put(check)

    def follow(request: httpx.Request) -> None:
        request.extensions["trace"] = on_event

    def ask() -> None:
        args = {"event_hooks": {"request": [follow]}}
        try:
            token = request_token(credentials or _NOBODY, scopes, base_url=base_url, httpx_args=args)
            granted = f"scopes {' '.join(sorted(token.scopes)) or 'unknown'}, {token.expires_in} s"
            steps.put(Check("token", "ok", f"for {token.customer or 'an unknown customer'}, {granted}"))
        except DomoOAuthError as error:
            expected = credentials is None and isinstance(error, InvalidClientError)
            refused = Check("token", "skip", "the endpoint refused a made-up client, as it should")
            steps.put(refused if expected else Check("token", "fail", str(error)))
        finally:
            steps.put(None)

    Thread(target=ask, daemon=True).start()
    yield from iter(steps.get, None)


def _steps(event: list[str], info: dict[str, Any]) -> Generator[Check]:
    """What an event of httpcore means. `info` is that of all events so far."""
    is_connect = "request" in info and info["request"].method == b"CONNECT"
    match event:
        case ["connect_tcp", "complete"]:
            yield Check("DNS", "ok", f"{info['host']} is {info['return_value'].get_extra_info('server_addr')[0]}")
            yield Check("TCP", "ok", f"connected to {info['host']}:{info['port']}")
        case ["connect_tcp", "failed"]:
            yield _not_connected(info["exception"], info["host"], info["port"])
        case ["start_tls", "complete"]:
            yield _certificate(info["return_value"].get_extra_info("ssl_object"))
        case ["start_tls", "failed"]:
            yield _not_encrypted(info["exception"])
        case ["send_request_body", "complete"] if not is_connect:
            yield Check("request", "ok", "sent")
        case ["receive_response_headers", "complete"]:
            _, status, _, headers, *_ = info["return_value"]
            yield from (_tunnel(status) if is_connect else _answer(status, headers))
        case ["receive_response_headers", "failed"]:
            what = f"none ({type(info['exception']).__name__})"
            yield Check("answer", "fail", f"{what}: something else may listen there, or stand in between")
        case _:
            pass


def _not_connected(error: Exception, host: str, port: int) -> Check:
    if isinstance(error.__cause__, socket.gaierror):
        return Check("DNS", "fail", f"{host} is not known ({error}): check its name and the name server")
    return Check("TCP", "fail", f"no connection to {host}:{port} ({error}): check network, firewall and proxy")


def _tunnel(status: int) -> Generator[Check]:
    if HTTPStatus(200) <= status < HTTPStatus(300):
        yield Check("tunnel", "ok", "opened by the proxy")
    else:
        advice = "check its user and password, and whether it allows this host"
        yield Check("tunnel", "fail", f"the proxy answered {status}: {advice}")


def _certificate(tls: ssl.SSLObject) -> Check:
    certificate: dict[str, Any] = tls.getpeercert() or {}
    names = dict(pair for part in certificate.get("issuer", ()) for pair in part)
    issuer = names.get("organizationName") or names.get("commonName") or "an unknown issuer"
    days = int((ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) // _DAY)
    told = f"{tls.version()}, certificate by {issuer}, good for {days} days"
    if days < _SOON:
        return Check("TLS", "warn", f"{told}: whoever runs the server must renew it")
    return Check("TLS", "ok", told)


def _not_encrypted(error: Exception) -> Check:
    if not isinstance(error.__cause__, ssl.SSLCertVerificationError):
        return Check("TLS", "fail", f"no secure connection ({error}): check the proxy, SSL_CERT_FILE and SSL_CERT_DIR")
    advice = "if a proxy inspects TLS here, set SSL_CERT_FILE to its authority; otherwise somebody may be listening"
    return Check("TLS", "fail", f"the certificate is not trusted ({error.__cause__.verify_message}): {advice}")


def _answer(status: int, headers: list[tuple[bytes, bytes]]) -> Generator[Check]:
    yield Check("answer", "ok", f"HTTP status {status}")
    date = "".join(value.decode("latin-1") for name, value in headers if name.lower() == b"date")
    try:
        ahead = time.time() - parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        yield Check("clock", "skip", "the server does not tell its time")
        return
    if abs(ahead) > _CLOCK_SLACK:
        way = "ahead of" if ahead > 0 else "behind"
        yield Check("clock", "warn", f"{abs(ahead):.0f} s {way} the server's: set this machine's clock (NTP)")
    else:
        yield Check("clock", "ok", "as the server's, to the minute")


def _store() -> Check:
    """Lock, write, read and remove an entry."""
    content = os.urandom(64)
    try:
        store = chosen_store()
        if store is None:
            return Check("store", "skip", "none: every process asks Domo itself")
        with store.lock(_ENTRY) as obtained:
            store.save(_ENTRY, content, 60.0)
            kept = store.load(_ENTRY)
            store.delete(_ENTRY)
    except Exception as error:  # noqa: BLE001 -- a store may raise anything
        told = str(error) if isinstance(error, DomoOAuthError) else type(error).__name__  # it may hold a password
        return Check("store", "fail", f"{told} Until then every process asks Domo itself.")
    if obtained and kept == content:
        return Check("store", "ok", f"{store_name(store)} can be locked, written and read")
    problem = "does not keep what it is given" if obtained else "cannot be locked"
    return Check("store", "fail", f"{store_name(store)} {problem}: name another in DOMO_STORE")
