"""Where Domo's API is."""

from __future__ import annotations

import os
import re
from ipaddress import ip_address  # which urllib.parse imports anyway
from urllib.parse import urlsplit

from .errors import ConfigurationError, require

DEFAULT_BASE_URL = "https://api.domo.com"
BASE_URL_VARIABLE = "DOMO_API_URL"
_AUTHORITY = re.compile(r"(\[[^\[\]]+\]|[\w.-]+)(:[0-9]*)?", re.ASCII)
"""Host and port. URL parsers disagree about the host in anything else, such as ``[::1]8080``."""


def resolve_base_url(base_url: str | None = None) -> str:
    """Return the given base URL, else ``DOMO_API_URL``, else Domo's, without a trailing slash.

    Raises:
        ConfigurationError: It is not an absolute URL, it has credentials or a query, or it would send the client
            secret unencrypted: ``http://`` is for loopback only (RFC 6749, section 2.3.1 requires TLS).
    """
    variable = os.getenv(BASE_URL_VARIABLE)  # tracebacks that look names up would show all variables
    name, given = "The base URL", DEFAULT_BASE_URL if base_url is None else base_url
    if base_url is None and variable is not None:  # also if it is empty: a test must not reach Domo by mistake
        name, given = BASE_URL_VARIABLE, variable.strip()
    require(name, given, str)
    problem = _problem(given)
    if problem is not None:
        del given, base_url, variable  # may have a password, and tracebacks can show locals
        raise ConfigurationError(f"{name} {problem}")
    parts = urlsplit(given)
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host in a URL is this machine, without a DNS lookup."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _problem(url: str) -> str | None:
    """What is wrong with the URL, to follow its name; None if nothing is."""
    if not url:
        return f"is empty: leave it out to use {DEFAULT_BASE_URL}."
    try:
        parts = urlsplit(url)
        usable = parts.port != 0 and parts.scheme in {"http", "https"} and re.fullmatch(r"[!-\[\]-~]+", url)
    except ValueError:
        return f"is not a URL: it must look like {DEFAULT_BASE_URL}."
    if not usable or not parts.hostname:
        return f"is not an absolute HTTP URL: it must look like {DEFAULT_BASE_URL}."
    if parts.username is not None or parts.password is not None:
        return "must not carry a user name or password, which would end up in logs: pass them as credentials."
    if not _AUTHORITY.fullmatch(parts.netloc):
        return "is not an absolute HTTP URL: its host name has invalid characters."
    if "?" in url or "#" in url:
        return f"must not have a query or fragment: it must look like {DEFAULT_BASE_URL}."
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        return (
            f"is http://{parts.hostname}, which would send the client secret unencrypted: use https://. "
            "Only a server on this machine (localhost, 127.0.0.1, [::1]) may be reached by http://."
        )
    return None
