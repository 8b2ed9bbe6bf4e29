"""What is between this machine and the server, one step after the other. No secret is sent."""

from __future__ import annotations

import base64
import math
import socket
import ssl
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import SplitResult, urlsplit

import httpx

from domo_oauth_client.client import environment_proxy

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Literal, TypeAlias

    Verdict: TypeAlias = Literal["ok", "warn", "fail", "skip"]

__all__ = ["Check", "checks"]

_TIMEOUT = 10.0  # seconds, for each read and write
_LONGEST = 60.0  # seconds, for all of them together
_POLL = 0.05  # seconds
_SOON = 14.0  # days
_DAY = 86400.0
_CLOCK_SLACK = 60.0  # seconds


class Check(NamedTuple):
    """What was looked at, what came of it, and what to do."""

    name: str
    verdict: Verdict
    told: str


def checks(base_url: str) -> Generator[Check, None, None]:
    """Look at proxy, DNS, TCP, TLS and clock; stop where nothing can work any more."""
    parts = urlsplit(base_url)
    encrypted = parts.scheme == "https"
    try:
        found = environment_proxy(base_url)
    except ValueError as error:
        how = "it must look like http://user:password@host:3128, with special characters percent-encoded"
        yield Check("proxy", "fail", f"{error}: {how}")
        return
    proxy = httpx.URL(found) if found else None
    if proxy is None:
        yield Check("proxy", "ok", "none")
    elif proxy.scheme != "http":
        yield Check("proxy", "warn", f"{proxy.scheme}://{proxy.host}: only http:// proxies can be looked into here")
        return
    else:
        yield Check("proxy", "ok", f"{proxy.host}:{proxy.port or 80}, from the environment or the system")
    server = parts.hostname or "", parts.port or (443 if encrypted else 80)
    host, port = server if proxy is None else (proxy.host, proxy.port or 80)
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        yield Check("DNS", "fail", f"{host} is not known ({error}): check its name and the name server")
        return
    yield Check("DNS", "ok", f"{host} is {', '.join(sorted({str(each[4][0]) for each in addresses}))}")
    connection = HTTPConnection(host, port, timeout=_TIMEOUT)
    if proxy is not None:
        connection.set_tunnel(*server, headers=_authorization(proxy))
    limit = _Limit(connection)
    try:
        with limit:
            connection.connect()
        yield Check("TCP", "ok", f"connected to {host}:{port}")
        yield from _over(connection, limit, parts, encrypted=encrypted)
    except (OSError, HTTPException) as error:
        yield Check("TCP", "fail", f"no connection to {host}:{port} ({error}): check network, firewall and proxy")
    finally:
        limit.lift()
        connection.close()


class _Limit:
    """Shuts the connection down when time is up. A byte now and then would keep each read within its time-out.

    What is done on the connection is done ``with`` this: it raises TimeoutError, whatever else the end looked like.
    """

    def __init__(self, connection: HTTPConnection) -> None:
        self._connection: Any = connection
        self._is_over, self._lifted = False, Event()
        self._thread = Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        if self._lifted.wait(_LONGEST):
            return
        self._is_over = True
        while not self._lifted.wait(_POLL):
            with suppress(OSError, TypeError):  # it has no socket yet, or none any more
                socket.socket.shutdown(self._connection.sock, socket.SHUT_RDWR)  # SSLSocket's own would go on

    def lift(self) -> None:
        self._lifted.set()
        self._thread.join()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc_info: object) -> None:
        if self._is_over:
            raise TimeoutError(f"not done after {_LONGEST:g} s") from None


def _over(
    connection: HTTPConnection, limit: _Limit, parts: SplitResult, *, encrypted: bool
) -> Generator[Check, None, None]:
    if encrypted:
        tls = _tls(connection, limit, parts.hostname or "")
        yield tls
        if tls.verdict == "fail":
            return
    else:
        yield Check("TLS", "skip", "http://, which never leaves this machine")
    try:
        with limit:
            connection.request("GET", f"{parts.path}/oauth/token")  # without credentials: any answer has the time
            response = connection.getresponse()
        yield _clock(response.headers.get("Date", ""))
    except (OSError, HTTPException) as error:
        told = f"{type(error).__name__}: {error}".rstrip(": ")
        yield Check("clock", "fail", f"no answer of HTTP ({told}): something else listens there, or stands in between")


def _authorization(proxy: httpx.URL) -> dict[str, str]:
    if not proxy.userinfo:
        return {}
    pair = f"{proxy.username}:{proxy.password}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _tls(connection: HTTPConnection, limit: _Limit, host: str) -> Check:
    try:
        context = httpx.create_ssl_context()  # as the token is asked for
        # The handshake comes after, when the limit can see this socket.
        wrapped = context.wrap_socket(connection.sock, server_hostname=host, do_handshake_on_connect=False)
        connection.sock = wrapped
        with limit:
            wrapped.do_handshake()
    except ssl.SSLCertVerificationError as error:
        return Check(
            "TLS",
            "fail",
            f"the certificate is not trusted ({error.verify_message}): if a proxy inspects TLS here, set SSL_CERT_FILE "
            "to its authority; else do not go on, somebody may be listening",
        )
    except OSError as error:
        return Check("TLS", "fail", f"no secure connection ({error}): check the proxy, SSL_CERT_FILE and SSL_CERT_DIR")
    certificate = wrapped.getpeercert() or {}
    names = dict(cast("list[tuple[str, str]]", [pair for part in certificate.get("issuer", ()) for pair in part]))
    issuer = names.get("organizationName") or names.get("commonName") or "somebody without a name"
    days = math.floor((ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) / _DAY)
    told = f"{wrapped.version()}, certificate by {issuer}, good for {days} days"
    if days < _SOON:
        return Check("TLS", "warn", f"{told}: whoever runs the server must renew it")
    return Check("TLS", "ok", told)


def _clock(date: str) -> Check:
    try:
        ahead = time.time() - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return Check("clock", "skip", "the server does not tell its time")
    if abs(ahead) > _CLOCK_SLACK:
        way = "ahead of" if ahead > 0 else "behind"
        return Check("clock", "warn", f"{abs(ahead):.0f} s {way} the server's: set this machine's clock (NTP)")
    return Check("clock", "ok", "as the server's, to the minute")
