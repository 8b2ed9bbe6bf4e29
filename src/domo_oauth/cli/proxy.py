"""`domo-oauth proxy`: forward requests of this machine to Domo's API, and add a token."""

from __future__ import annotations

import logging
import os
import re
import secrets
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from domo_oauth.base_url import is_loopback
from domo_oauth.errors import ConfigurationError
from domo_oauth.provider import TokenProvider
from domo_oauth.stores import store_from_env

from .credentials import find
from .messages import tell
from .options import chosen_scopes, client_options, scope_options

KEY_VARIABLE = "DOMO_PROXY_KEY"
_GRACE_SECONDS = 30  # for requests under way when the proxy stops; the default of Kubernetes


@click.command
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", help="Listen on loopback; 0 takes a free port.")
@click.option("--socket", "path", type=click.Path(), metavar="PATH", help="Listen on a Unix socket of this user.")
@click.option("--listen", metavar="HOST:PORT", help="Listen on another address, for other machines and containers.")
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="Host name to allow in requests.")
@click.option("--allow", multiple=True, metavar="PATTERN", help="Forward these paths only, such as '/v1/datasets/*'.")
@click.option("--read-only", is_flag=True, help="Forward GET, HEAD and OPTIONS only.")
@scope_options
@client_options
def proxy(
    port: int | None,
    path: str | None,
    listen: str | None,
    hosts: tuple[str, ...],
    allow: tuple[str, ...],
    scope: tuple[str, ...],
    custom_scope: tuple[str, ...],
    *,
    read_only: bool,
    **client: Any,
) -> int:
    """Forward requests to Domo's API, each with a valid token, until Ctrl-C.

    Callers need no client secret. On a port they send a key, which is printed at the start, or which DOMO_PROXY_KEY
    holds. A Unix socket needs none: only your own processes can connect to it. One of --port, --socket and --listen is
    required.

    \b
    Examples:
      domo-oauth proxy --port 8766
      echo "Authorization: Bearer $DOMO_PROXY_KEY" | curl -H @- "$DOMO_PROXY_URL/v1/datasets"
      domo-oauth proxy --socket ~/.domo/proxy.sock --read-only
      curl --unix-socket ~/.domo/proxy.sock http://domo/v1/datasets
    """
    if sum(each is not None for each in (port, path, listen)) != 1:
        raise ConfigurationError("Pass one of --port N, --socket PATH and --listen HOST:PORT.")
    if not all(pattern.startswith("/") for pattern in allow):
        raise ConfigurationError("--allow takes patterns of paths, such as '/v1/datasets*'.")
    try:
        from domo_oauth import proxy, serving
    except ModuleNotFoundError as error:
        raise ConfigurationError("The proxy needs more packages: pip install 'domo-oauth[proxy]'") from error
    found = find(**client)
    scopes = chosen_scopes(scope, custom_scope)
    # Look again before each fetch, as the secret may be replaced meanwhile.
    lasts = found.source not in {"standard input", "the terminal"}
    credentials = (lambda: find(**client).credentials) if lasts else found.credentials
    provider = TokenProvider(credentials, scopes=scopes, store=store_from_env(), base_url=found.base_url)
    variables: dict[str, str] = {}
    key: str | None = os.environ.get(KEY_VARIABLE, "").strip()
    if path:
        key = None
    elif not key:
        key = variables[KEY_VARIABLE] = secrets.token_urlsafe(32)
    elif not re.fullmatch(r"[\w.~+/=-]{16,}", key, re.ASCII):
        raise ConfigurationError(f"{KEY_VARIABLE} must have at least 16 letters and digits.")
    if path:
        listener = serving.listen_at_path(path)
        variables["DOMO_PROXY_SOCKET"] = str(Path(path).absolute())
    else:
        host, number = _address(listen) if listen else ("127.0.0.1", port or 0)
        listener = serving.listen(host, number)
        variables["DOMO_PROXY_URL"] = serving.url_of(listener)
        if not is_loopback(host):
            tell(
                f"Everybody who can connect to {variables['DOMO_PROXY_URL']} and has the key can use Domo's API with "
                "the rights of this client. Neither the key nor the data is encrypted on the way."
            )
    _show_requests()
    app = proxy.create_app(provider, proxy.Access(key, frozenset(map(str.lower, hosts)), allow, read_only))
    print(*("export", *(f"{name}={shlex.quote(value)}" for name, value in variables.items())), flush=True)
    serving.run(serving.server(app, grace=_GRACE_SECONDS, date_header=False), listener)
    if path:
        Path(path).unlink(missing_ok=True)
    return 0


def _address(listen: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:]+)\]|([\w.-]+)):([0-9]{1,5})", listen, re.ASCII)
    if not match or int(match[3]) >= 2**16:
        raise ConfigurationError("--listen takes an address and a port, such as 0.0.0.0:8766 or [::]:8766.")
    return match[1] or match[2], int(match[3])


def _show_requests() -> None:
    """Log a line for each request, and why there is no token. The command's own handler shows less, and no time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    for name, level in (("domo_oauth.proxy", logging.INFO), ("domo_oauth.provider", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
