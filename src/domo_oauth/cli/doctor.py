"""`domo-oauth doctor`: what works and what does not, from this machine's setup to a token."""

from __future__ import annotations

import json
import os
import platform
import socket
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from domo_oauth.base_url import BASE_URL_VARIABLE
from domo_oauth.credentials import CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE, ClientCredentials
from domo_oauth.errors import ConfigurationError, DomoOAuthError, InvalidClientError
from domo_oauth.stores import STORE_VARIABLE

from .credentials import SECRET_FILE_VARIABLE, find
from .login import NO_KEYRING, backend_name
from .messages import fit
from .options import chosen_scopes, chosen_store, client_options, json_option, scope_options, store_name

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    Report: TypeAlias = Callable[[str, str, str], None]
    """Takes what was checked, the verdict (ok, fail or skip), and what was found or what to do."""

_PACKAGES = ("domo-oauth", "httpx", "cryptography", "keyring", "redis")
_VARIABLES = (
    *(CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE, SECRET_FILE_VARIABLE),
    *(BASE_URL_VARIABLE, STORE_VARIABLE, "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
_COLORS = {"ok": "green", "fail": "red", "skip": "bright_black"}
_NOBODY = ClientCredentials("domo-oauth-doctor", "not-a-secret")
"""Without credentials, the request is sent with these, so that the network is checked all the same."""
_ENTRY = "0" * 32
"""The name of the store's entry that is tried; always the same, as stores may keep something of each name."""
_STEPS = {"connect_tcp": "TCP", "start_tls": "TLS", "receive_response_headers": "response"}
"""Events of httpcore, and the steps that fail with them."""


@click.command
@json_option
@scope_options
@client_options
def doctor(scope: tuple[str, ...], custom_scope: tuple[str, ...], *, as_json: bool, **client: Any) -> int:
    """Check step by step what works and what does not.

    It requests one token and throws it away. Without a client id and secret, it uses a made-up client, to see whether
    the endpoint responds. The exit status is 1 if anything fails. No line shows a secret.

    \b
    Examples:
      domo-oauth doctor
      domo-oauth doctor --scope data --json
    """
    color = False if os.environ.get("NO_COLOR") else None
    checks: list[dict[str, str]] = []

    def report(name: str, verdict: str, text: str) -> None:
        checks.append({"name": name, "verdict": verdict, "detail": fit(text)})
        if not as_json:
            padding = " " * (5 - len(verdict))
            click.echo(f"{click.style(verdict, fg=_COLORS[verdict])}{padding}{name:<13}{fit(text)}", color=color)

    scopes = chosen_scopes(scope, custom_scope)
    _request(report, _machine(report, **client), scopes, client["base_url"])
    _store(report)
    failed = any(check["verdict"] == "fail" for check in checks)
    if as_json:
        click.echo(json.dumps({"ok": not failed, "checks": checks}, indent=2))
    return int(failed)


def _machine(report: Report, **client: Any) -> ClientCredentials | None:
    """Report what is set up on this machine, and return the credentials."""
    report("versions", "ok", ", ".join([f"Python {platform.python_version()}", *map(_version, _PACKAGES)]))
    present = [name for name in _VARIABLES if os.environ.get(name, "").strip()]
    report("environment", "ok", f"{', '.join(present)} set" if present else "nothing set")
    name = backend_name()
    report("keyring", "ok" if name else "skip", name or NO_KEYRING)
    report("base URL", "ok", client["base_url"])
    try:
        found = find(**client)
    except ConfigurationError as error:
        report("credentials", "fail", str(error))
        return None
    report("credentials", "ok", f"the client {found.credentials.masked_client_id}, from {found.source}")
    return found.credentials


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def _request(
    report: Report, credentials: ClientCredentials | None, scopes: tuple[str, ...] | None, base_url: str
) -> None:
    """Request a token, and report how far the request gets while it is on its way."""
    from domo_oauth.request import request_token
    from domo_oauth_client.client import environment_proxy

    try:
        proxy = environment_proxy(base_url)
    except ValueError as error:
        how = "it must look like http://user:password@host:3128, with special characters percent-encoded"
        report("proxy", "fail", f"{error}: {how}")
        return
    report("proxy", "ok", f"{proxy.rpartition('@')[2]}, from the environment or the system" if proxy else "none")
    seen = dict[str, Any]()

    def on_event(event: str, info: dict[str, Any]) -> None:  # such as connection.connect_tcp.failed
        seen.update(info)
        _step(report, event.split(".")[1:], seen)

    def follow(request: httpx.Request) -> None:
        request.extensions["trace"] = on_event

    args = {"event_hooks": {"request": [follow]}}
    try:
        token = request_token(credentials or _NOBODY, scopes, base_url=base_url, httpx_args=args)
    except DomoOAuthError as error:
        if credentials is None and isinstance(error, InvalidClientError):
            report("token", "skip", "the endpoint refused a made-up client, as it should")
        else:
            report("token", "fail", str(error))
        return
    granted = f"scopes {' '.join(sorted(token.scopes)) or 'unknown'}, {token.expires_in} s"
    report("token", "ok", f"for {token.customer or 'an unknown customer'}, {granted}")


def _step(report: Report, event: list[str], info: dict[str, Any]) -> None:
    """Report what an event of httpcore means. `info` is that of all events so far."""
    is_connect = "request" in info and info["request"].method == b"CONNECT"
    match event:
        case ["connect_tcp", "complete"]:
            report("DNS", "ok", f"{info['host']} is {info['return_value'].get_extra_info('server_addr')[0]}")
            report("TCP", "ok", f"connected to {info['host']}:{info['port']}")
        case ["start_tls", "complete"]:
            tls = info["return_value"].get_extra_info("ssl_object")
            issuer = dict(pair for part in tls.getpeercert()["issuer"] for pair in part)
            name = issuer.get("organizationName") or issuer.get("commonName") or "an unknown issuer"
            report("TLS", "ok", f"{tls.version()}, certificate by {name}")
        case ["send_request_body", "complete"] if not is_connect:
            report("request", "ok", "sent")
        case ["receive_response_headers", "complete"]:
            status = info["return_value"][1]
            if not is_connect:
                report("response", "ok", f"HTTP status {status}")
            elif HTTPStatus(200) <= status < HTTPStatus(300):
                report("tunnel", "ok", "opened by the proxy")
            else:
                report("tunnel", "fail", f"the proxy returned {status}: check its user, password and rules")
        case [name, "failed"] if name in _STEPS:
            unknown_host = isinstance(info["exception"].__cause__, socket.gaierror)
            step = "DNS" if unknown_host else _STEPS[name]
            report(step, "fail", f"{type(info['exception']).__name__}; see token")  # its text may quote the server
        case _:
            pass


def _store(report: Report) -> None:
    """Lock, write, read and remove an entry."""
    content = os.urandom(64)
    try:
        store = chosen_store()
        if store is None:
            report("store", "skip", "none: every process requests its own token")
            return
        with store.lock(_ENTRY) as locked:
            store.save(_ENTRY, content, 60.0)
            kept = store.load(_ENTRY)
            store.delete(_ENTRY)
    except Exception as error:  # noqa: BLE001 -- a store may raise anything
        text = str(error) if isinstance(error, DomoOAuthError) else type(error).__name__  # it may hold a password
        report("store", "fail", f"{text} Until then, every process requests its own token.")
        return
    works = locked and kept == content
    text = "can be locked, written and read" if works else "cannot be locked, or loses entries"
    report("store", "ok" if works else "fail", f"{store_name(store)} {text}")
