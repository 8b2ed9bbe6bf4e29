"""What a response of the token endpoint means: a Token, or an error that says what to do."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import responses
from typing import TYPE_CHECKING, Any, cast

from attrs import frozen

from domo_oauth_client.models import AccessTokenResponse

from . import errors
from .redact import clean
from .state import fork_lock
from .token import Token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from domo_oauth_client.types import Response

    from .credentials import ClientCredentials

_RETRYABLE = frozenset({429, 500, 502, 503, 504})
_TOE = re.compile(r"[A-Z0-9]{1,20}(-[A-Z0-9]{1,20}){1,4}")  # of Domo's shape (recorded), as it is shown whole
_CENTURY = 100 * 365 * 86400  # seconds; a longer lifetime may end beyond the calendar


@frozen
class Sent:
    """The request that a response belongs to."""

    url: str
    credentials: ClientCredentials
    scopes: tuple[str, ...] | None  # None for all scopes of the client
    at: datetime  # in UTC

    def clean(self, text: str, *shown: str) -> str:
        """Return a server's text, fit for a message. `shown` may be in it."""
        return clean(text, self.credentials, (self.url, *(self.scopes or ()), *shown))


def read_answer(response: Response[Any], sent: Sent) -> Token | errors.TokenRequestError:
    """Return the token of a 200, or the error to raise for anything else."""
    granted = response.parsed
    if not isinstance(granted, AccessTokenResponse):
        return _error(response.status_code, response.headers, response.content, sent)
    fields = granted.to_dict()
    return Token(
        granted.access_token,
        token_type=granted.token_type,
        expires_in=granted.expires_in,
        expires_at=sent.at + timedelta(seconds=min(granted.expires_in, _CENTURY)),
        scopes=frozenset(fields["scope"].split() if "scope" in fields else sent.scopes or ()),
        customer=fields.get("customer"),
        role=fields.get("role"),
        user_id=fields.get("userId"),
        jti=fields.get("jti"),
        extra=dict(granted.additional_properties),
    )


def broken_answer(status: int | None, reason: str, sent: Sent, content: bytes = b"") -> errors.UnexpectedResponseError:
    """The error for a response that breaks the contract, whatever its status."""
    title = _html_title(content, sent)
    page = f" It is a page titled {title!r}." if title else ""
    at = "" if status is None else f" ({_status(status)})"
    return errors.UnexpectedResponseError(
        f"GET {sent.url} returned an invalid response{at}: {sent.clean(reason)}.{page} Something other than Domo may "
        "have responded (a proxy, a sign-in page, an allow list), or Domo has changed: open the URL from this machine, "
        "and look for a newer version of this package.",
        status=status,
        description=title,
    )


def _error(status: int, headers: Mapping[str, str], content: bytes, sent: Sent) -> errors.TokenRequestError:
    body, retry_after = _json_object(content), _retry_after(headers, sent.at)

    def text(*names: str) -> str | None:
        found = (body.get(name) for name in names)
        return next((sent.clean(value) for value in found if isinstance(value, str) and value.strip()), None)

    error, toe, timestamp = text("error"), text("toe"), _timestamp(body.get("timestamp"))
    description = text("error_description", "message", "statusReason") or _html_title(content, sent)
    if _TOE.fullmatch(unchecked := str(body.get("toe"))):
        toe = sent.clean(unchecked, unchecked)
    kind, advice = _diagnosis(status, text, retry_after, sent)
    retryable, said = status in _RETRYABLE, (description or error or "").rstrip(".")
    if said == responses.get(status):  # _status() includes it
        said = ""
    again = "Retry after a pause." if retryable else "Retrying does not help."
    message = f"GET {sent.url} returned {_status(status)}{said and f': {said}'}. {advice} {again}"
    if toe:
        at = f", at {timestamp.isoformat()}" if timestamp else ""
        message += f" Domo's support finds this request by its toe: {toe}{at}."
    return kind(
        message,
        status=status,
        error=error,
        description=description,
        toe=toe,
        timestamp=timestamp,
        retryable=retryable,
        retry_after=retry_after,
    )


def _diagnosis(
    status: int, text: Callable[..., str | None], retry_after: float | None, sent: Sent
) -> tuple[type[errors.TokenRequestError], str]:
    """The error's class, and what to do. `text` gives the first of some fields that has a text."""
    client_id = sent.credentials.masked_client_id
    # The same request may succeed after one of the retryable statuses, whatever error code comes with it.
    code = None if status in _RETRYABLE else text("error")
    if code == "invalid_client" and (text("error_description") or "").startswith("Unauthorized grant type"):
        code = "unauthorized_client"  # which Spring Security OAuth says in this way
    match status, code:
        case _, "invalid_scope":
            return errors.InvalidScopeError, _about_scopes(text, sent)
        case _, "unauthorized_client":
            return errors.InvalidClientError, (
                f"Domo does not let the client ({client_id}) use the client credentials grant: check its settings in "
                "Domo's developer portal."
            )
        case (401, _) | (_, "invalid_client"):
            return errors.InvalidClientError, (
                f"Domo does not accept the client id ({client_id}) and its secret: one of them is wrong, or the client "
                "was deleted. Compare both with Domo's developer portal, https://developer.domo.com."
            )
        case 429, _:
            wait = "a while" if retry_after is None else f"{retry_after:g} s"
            return errors.RateLimitedError, (
                f"Too many requests: wait {wait} before the next one. Share one token between all callers; a token for "
                "every call is not needed."
            )
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return errors.ServerError, "The fault is Domo's, or a proxy's in between, not yours."
        case 403, _:
            return errors.TokenRequestError, (
                "Domo refuses this client here: it may not have the token, or this machine's network is not on the "
                "allow list of the Domo instance. Ask the instance's administrator."
            )
        case 400, _:
            return errors.TokenRequestError, _about_the_request(text)
        case _:
            what = "The contract does not have this status. Something other than Domo may have responded"
            if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
                what = "It is a redirect, and no redirect is followed with a client secret"
            return errors.UnexpectedResponseError, (
                f"{what}: check the base URL (DOMO_API_URL), and whether a proxy or sign-in page stands in between."
            )


def _about_scopes(text: Callable[..., str | None], sent: Sent) -> str:
    """What to do about `invalid_scope`."""
    if (text("error_description") or "").startswith("Empty scope"):
        client_id = sent.credentials.masked_client_id
        return f"The client ({client_id}) has no scopes: give it at least one in Domo's developer portal."
    asked, scope = " ".join(sent.scopes or ()) or "all scopes of the client", text("scope")
    has = f" The client has: {scope}." if scope else ""
    advice = "Ask for fewer scopes, or add the missing one to the client in Domo's developer portal."
    return f"Requested: {asked}.{has} {advice}"


def _about_the_request(text: Callable[..., str | None]) -> str:
    """What to do about a 400 with another error, or without any."""
    if text("error", "error_description", "message", "statusReason") is None:
        return (
            "This is not how the token endpoint responds, but how a web server does if a request is too large: shorten "
            "the scopes, or the headers in httpx_args. A proxy may also refuse the request."
        )
    return (
        "Domo did not understand the request. Either Domo has changed the endpoint, or this package is at fault: look "
        "for a newer version, and report it."
    )


def _json_object(content: bytes) -> Mapping[str, object]:
    """The fields of an error; it may have a toe even if it breaks the contract."""
    try:
        body: object = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return cast("Mapping[str, object]", body) if isinstance(body, dict) else {}


def _html_title(content: bytes, sent: Sent) -> str | None:
    # A whole title, as half a secret would not be found; and only near the top, as a large page may take minutes.
    found = re.search(rb"<title[^>]*>([^<]+)<", content[:4096], re.IGNORECASE)
    return sent.clean(found[1].decode("utf-8", "replace")) or None if found else None


def _status(status: int) -> str:
    return f"{status} {responses.get(status, '')}".rstrip()


def _timestamp(value: Any) -> datetime | None:
    """When an error occurred: ISO 8601, or milliseconds since 1970; None if it is something else."""
    with fork_lock:  # see there; slow to import, and needed for errors only
        from dateutil.parser import isoparse
    try:
        if isinstance(value, str):
            moment = isoparse(value)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, TypeError, ArithmeticError, OSError):
        return None


def _retry_after(headers: Mapping[str, str], sent_at: datetime) -> float | None:
    """Retry-After in seconds (RFC 9110, section 10.2.3); None if it is missing or invalid."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    until, now = _http_date(value), _http_date(headers.get("Date", "")) or sent_at  # by the server's clock if possible
    return None if until is None else max(0.0, (until - now).total_seconds())


def _http_date(value: str) -> datetime | None:
    """The date of a header field, always in GMT (RFC 9110, section 5.6.7); None if it is invalid."""
    try:
        return parsedate_to_datetime(value[:64]).replace(tzinfo=UTC)
    except (ValueError, ArithmeticError):
        return None
