"""What an answer of the token endpoint means: a Token, or the error that says what to do."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import frozen

from domo_oauth_client.models import AccessTokenResponse, TokenError
from domo_oauth_client.types import Unset

from .credentials import CLIENT_ID_VARIABLE, CLIENT_SECRET_VARIABLE
from .errors import (
    InvalidClientError,
    InvalidScopeError,
    RateLimitedError,
    ServerError,
    TokenRequestError,
    UnexpectedResponseError,
)
from .redact import clean
from .token import Token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domo_oauth_client.types import Response

    from .credentials import ClientCredentials

_T = TypeVar("_T")

__all__ = ["Sent", "broken_answer", "read_answer"]

_RETRYABLE = frozenset({429, 500, 502, 503, 504})
_TOE = re.compile(r"[A-Z0-9]{1,20}(-[A-Z0-9]{1,20}){1,4}")
"""The shape of Domo's `toe` (recorded). It is shown whole, so nothing else may pass for one."""
_LONGEST_DATE = 64
"""Characters of a date that are read."""


@frozen
class Sent:
    """The request that an answer belongs to.

    Attributes:
        url: Where it was sent, for messages.
        credentials: Whose it is.
        scopes: What was asked for; None for all scopes of the client.
        at: When it was sent, in UTC.
    """

    url: str
    credentials: ClientCredentials
    scopes: tuple[str, ...] | None
    at: datetime

    @property
    def request(self) -> str:
        """Method and URL, for messages."""
        return f"GET {self.url}"

    def clean(self, text: str) -> str:
        """A server's text, fit for a message."""
        return clean(text, self.credentials, (self.url, *(self.scopes or ())))


@frozen
class _Details:
    error: str | None
    description: str | None
    toe: str | None
    timestamp: datetime | None
    scope: str | None


def read_answer(response: Response[Any], sent: Sent) -> Token | TokenRequestError:
    """A 200 as a token, anything else as the error to raise."""
    if isinstance(response.parsed, AccessTokenResponse):
        return _token(response.parsed, sent)
    return _error(response, sent)


def broken_answer(status: int | None, reason: str, sent: Sent, content: bytes = b"") -> UnexpectedResponseError:
    """The error for an answer that cannot be a token although its status may say so."""
    said = _html_title(content)
    page = f" It is a page titled {sent.clean(said)!r}." if said else ""
    answered = "gave a broken answer" if status is None else f"answered {_status(status)} with a broken answer"
    return UnexpectedResponseError(
        f"{sent.request} {answered}: {sent.clean(reason)}.{page} Something other than Domo may have answered "
        "(a proxy, a sign-in page, an allow list), or Domo has changed its answers: open the URL from this machine, "
        "and look for a newer version of this package.",
        status=status,
        description=sent.clean(said) if said else None,
    )


def _token(granted: AccessTokenResponse, sent: Sent) -> Token:
    scope = granted.scope
    return Token(
        granted.access_token,
        token_type=granted.token_type,
        expires_in=granted.expires_in,
        expires_at=_later(sent.at, granted.expires_in),
        scopes=frozenset(sent.scopes or ()) if isinstance(scope, Unset) else frozenset(scope.split()),
        customer=_known(granted.customer),
        role=_known(granted.role),
        user_id=_known(granted.user_id),
        jti=_known(granted.jti),
        extra=dict(granted.additional_properties),
    )


def _later(moment: datetime, seconds: int) -> datetime:
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _known(value: _T | Unset) -> _T | None:
    return None if isinstance(value, Unset) else value


def _error(response: Response[Any], sent: Sent) -> TokenRequestError:
    status = response.status_code
    details = _details(response, sent)
    retry_after = _retry_after(response.headers, sent.at)
    kind, advice = _diagnosis(status, details, retry_after, sent)
    said = f": {details.description or details.error}" if details.description or details.error else ""
    message = f"{sent.request} answered {_status(status)}{said.rstrip('.')}. {advice}"
    if details.toe:
        at = f", at {details.timestamp.isoformat()}" if details.timestamp else ""
        message += f" Domo's support finds this request by its toe: {details.toe}{at}."
    return kind(
        message,
        status=status,
        error=details.error,
        description=details.description,
        toe=details.toe,
        timestamp=details.timestamp,
        retryable=status in _RETRYABLE,
        retry_after=retry_after,
    )


def _diagnosis(
    status: int, details: _Details, retry_after: float | None, sent: Sent
) -> tuple[type[TokenRequestError], str]:
    """The error's class, and what to do."""
    # An error code beside one of these statuses does not change that the same request may succeed later.
    error = None if status in _RETRYABLE else details.error
    if error == "invalid_scope":
        asked = " ".join(sent.scopes or ()) or "all scopes of the client"
        has = f" The client has: {details.scope}." if details.scope else ""
        return InvalidScopeError, (
            f"Asked for: {asked}.{has} Ask for fewer scopes, or add the missing one to the client in Domo's developer "
            "portal. Repeating the request does not help."
        )
    if status == HTTPStatus.UNAUTHORIZED or error in {"invalid_client", "unauthorized_client"}:
        client_id = sent.credentials.masked_client_id
        if error == "unauthorized_client":
            what = f"Domo does not let the client ({client_id}) use the client credentials grant: look at it in"
        else:
            what = (
                f"Domo does not accept the client id ({client_id}) and its secret: one of them is wrong, or the client "
                f"was deleted. Compare {CLIENT_ID_VARIABLE} and {CLIENT_SECRET_VARIABLE} with"
            )
        return InvalidClientError, f"{what} Domo's developer portal. Repeating the request does not help."
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = "a while" if retry_after is None else f"{retry_after:g} s"
        return RateLimitedError, (
            f"Too many requests: wait {wait} before the next one. Share one token between all callers; a token for "
            "every call is not needed."
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        again = "Repeat the request after a pause" if status in _RETRYABLE else "Repeating it at once does not help"
        return ServerError, f"The fault is Domo's, or a proxy's in between, not yours. {again}."
    if status == HTTPStatus.FORBIDDEN:
        return TokenRequestError, (
            "Domo refuses this client here: it may not have the token, or this machine's network is not on the allow "
            "list of the Domo instance. Ask the instance's administrator. Repeating the request does not help."
        )
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return UnexpectedResponseError, (
            "It redirects, and no redirect is followed with a client secret. Domo's endpoint has no reason to "
            "redirect: check the base URL (DOMO_API_URL), and whether a proxy or sign-in page stands in between."
        )
    if status == HTTPStatus.BAD_REQUEST:
        return TokenRequestError, (
            "Domo did not understand the request. Either Domo has changed the endpoint, or this package is at fault: "
            "look for a newer version, and report it. Repeating the request does not help."
        )
    return UnexpectedResponseError, (
        "The contract does not know this status. Something other than Domo may have answered: check the base URL "
        "(DOMO_API_URL) and any proxy in between."
    )


def _details(response: Response[Any], sent: Sent) -> _Details:
    """What the error body says, in whichever of the known shapes, or the title where it is a page."""
    body: Mapping[str, object]
    body = response.parsed.to_dict() if isinstance(response.parsed, TokenError) else _json_object(response.content)

    def text(*names: str) -> str | None:
        found = (body.get(name) for name in names)
        return next((sent.clean(value) for value in found if isinstance(value, str) and value.strip()), None)

    title = _html_title(response.content)
    return _Details(
        error=text("error"),
        description=text("error_description", "message", "statusReason") or (sent.clean(title) if title else None),
        toe=_toe(body.get("toe"), sent) or text("toe"),
        timestamp=_timestamp(body.get("timestamp")),
        scope=text("scope"),
    )


def _toe(value: object, sent: Sent) -> str | None:
    """A `toe` of Domo's shape, which is shown although it is long and has digits."""
    if not isinstance(value, str) or not _TOE.fullmatch(value):
        return None
    return value if clean(value, sent.credentials, (value,)) == value else None


def _json_object(content: bytes) -> Mapping[str, object]:
    """An error body outside the contract, as far as it can be read: it may still hold the toe."""
    try:
        body: object = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return cast("Mapping[str, object]", body) if isinstance(body, dict) else {}


def _html_title(content: bytes) -> str | None:
    # To its end, as half a secret would not be found; and only at the top, as a whole page may take minutes.
    found = re.search(rb"<title[^>]*>([^<]+)<", content[:4096], re.IGNORECASE)
    return found[1].decode("utf-8", "replace").strip() if found else None


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _timestamp(value: object) -> datetime | None:
    """When an error occurred: ISO 8601, or milliseconds since 1970; None if it is something else."""
    from dateutil.parser import isoparse  # slow to import, and needed for errors only

    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, UTC)
        return _aware(isoparse(value)) if isinstance(value, str) and len(value) <= _LONGEST_DATE else None
    except (ValueError, ArithmeticError, OSError):
        return None


def _retry_after(headers: Mapping[str, str], sent_at: datetime) -> float | None:
    """Retry-After in seconds (RFC 9110, section 10.2.3); None if it is missing or makes no sense."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    until = _http_date(value)
    if until is None:
        return None
    # By the server's own clock, if it sends its time, as ours may differ.
    return max(0.0, (until - (_http_date(headers.get("Date", "")) or sent_at)).total_seconds())


def _http_date(value: str) -> datetime | None:
    """The date of a header field (RFC 9110, section 5.6.7); None if it makes no sense."""
    try:
        return _aware(parsedate_to_datetime(value[:_LONGEST_DATE]))
    except (ValueError, ArithmeticError):
        return None


def _aware(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
