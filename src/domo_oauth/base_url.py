"""Where Domo's API is."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from .errors import ConfigurationError, require

__all__ = ["BASE_URL_VARIABLE", "DEFAULT_BASE_URL", "is_loopback", "resolve_base_url"]

DEFAULT_BASE_URL = "https://api.domo.com"
BASE_URL_VARIABLE = "DOMO_API_URL"
_AUTHORITY = re.compile(r"(\[[^\[\]]+\]|[\w.-]+)(:[0-9]*)?", re.ASCII)
"""Host and port. In what else there may be, such as ``[::1]8080``, readers of URLs do not see the same host."""


def resolve_base_url(base_url: str | None = None) -> str:
    """The base URL to use: the one given, else ``DOMO_API_URL``, else Domo's.

    Returns:
        The URL without a slash at its end.

    Raises:
        ConfigurationError: It is no absolute URL, it carries credentials or a query, or it would send the client
            secret unencrypted: ``http://`` is taken for loopback only (RFC 6749, section 2.3.1 requires TLS).
    """
    require("The base URL", base_url or "", str)
    given = base_url or os.environ.get(BASE_URL_VARIABLE, "").strip() or DEFAULT_BASE_URL
    origin = f"{BASE_URL_VARIABLE} is" if not base_url and os.environ.get(BASE_URL_VARIABLE) else "The base URL is"
    fault = _fault(given, origin)
    if fault is not None:
        del given, base_url  # it may carry a password, and a traceback with locals shows this frame
        raise ConfigurationError(fault)
    parts = urlsplit(given)
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host, as it stands in a URL, is this machine, without asking a name server."""
    if host in {"localhost", "127.0.0.1", "::1"}:
        return True
    from ipaddress import ip_address  # slow to import, and seldom needed

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _fault(url: str, origin: str) -> str | None:
    """Why the URL will not do; None when it will."""
    try:
        parts = urlsplit(url)
        usable = parts.port != 0 and parts.scheme in {"http", "https"} and re.fullmatch(r"[!-\[\]-~]+", url)
    except ValueError:
        return f"{origin} not a URL: it must look like {DEFAULT_BASE_URL}."
    if not usable or not parts.hostname:
        return f"{origin} not an absolute URL of HTTP: it must look like {DEFAULT_BASE_URL}."
    if parts.username is not None or parts.password is not None:
        return f"{origin} not to carry a user name or password: they would end up in logs. Pass them as credentials."
    if not _AUTHORITY.fullmatch(parts.netloc):
        return f"{origin} not an absolute URL of HTTP: its host name has characters that no host name has."
    if "?" in url or "#" in url:
        return f"{origin} not to have a query or fragment: it must look like {DEFAULT_BASE_URL}."
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        return (
            f"{origin} http://{parts.hostname}, which would send the client secret unencrypted: use https://. "
            "Only a server on this machine (localhost, 127.0.0.1, [::1]) may be reached by http://."
        )
    return None
