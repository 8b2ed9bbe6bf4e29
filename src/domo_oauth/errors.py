"""What can go wrong, and what to do about it.

Every message says what happened, on which request, whose fault it most likely is, and what to do next. No message and
no attribute holds a client secret or a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import TypeGuard

__all__ = [
    "FOR_ALL",
    "ConfigurationError",
    "DomoOAuthError",
    "InvalidClientError",
    "InvalidScopeError",
    "RateLimitedError",
    "ServerError",
    "TokenRequestError",
    "TransportError",
    "UnexpectedResponseError",
    "causes",
    "is_for_all",
    "require",
]


class DomoOAuthError(Exception):
    """Any error of this package.

    It can be copied and pickled, so that everybody who waited for one request, also in another process, can be given
    an exception of his own.
    """

    retryable: bool = False
    """Whether the same request may succeed later, without a change."""


class ConfigurationError(DomoOAuthError):
    """Nothing was sent: the request could not be made with what was given."""


class TransportError(DomoOAuthError):
    """No answer came: no connection, no secure one, or none in time."""

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class TokenRequestError(DomoOAuthError):
    """The endpoint answered, and gave no token (RFC 6749, section 5.2).

    Attributes:
        status: The HTTP status code; None where the answer broke off before it could be read.
        error: The error code of RFC 6749, such as ``invalid_scope``, or whatever the answer has in its place.
        description: The server's own words on what went wrong.
        toe: Domo's "thread of execution", the id that Domo's support asks for.
        timestamp: When the error occurred, by the server's clock.
        retryable: Whether the same request may succeed later: after 429, 500, 502, 503 and 504.
        retry_after: Seconds that the server asks to wait (Retry-After; RFC 9110, section 10.2.3).
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        error: str | None = None,
        description: str | None = None,
        toe: str | None = None,
        timestamp: datetime | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.description = description
        self.toe = toe
        self.timestamp = timestamp
        self.retryable = retryable
        self.retry_after = retry_after


class InvalidClientError(TokenRequestError):
    """401, or ``invalid_client``: the client id is unknown, its secret is wrong, or it may not use this grant."""


class InvalidScopeError(TokenRequestError):
    """400 ``invalid_scope``: a scope was asked for that the client does not have."""


class RateLimitedError(TokenRequestError):
    """429: too many requests. ``retry_after`` says how many seconds to wait, where the server says so."""


class ServerError(TokenRequestError):
    """5xx: the fault is Domo's, or a proxy's in between."""


class UnexpectedResponseError(TokenRequestError):
    """An answer that breaks the contract: not from Domo, cut off, or Domo has changed something."""


FOR_ALL = (InvalidClientError, InvalidScopeError, RateLimitedError, ServerError)
"""What is answered to all who ask for the same. That no answer came, or one from somebody else, or that a host is not
on an allow list (403), is the business of those who ask by the same way."""


def is_for_all(error: Exception) -> TypeGuard[TokenRequestError]:
    """Whether everybody who asks for the same would be told the same, from wherever."""
    return type(error) in FOR_ALL


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came of, from one to the next; each once, as an error may be its own cause."""
    seen = set[int]()
    behind: BaseException | None = error
    while behind is not None and id(behind) not in seen:
        yield behind
        seen.add(id(behind))
        behind = behind.__cause__ or behind.__context__


def require(name: str, value: object, kind: type) -> None:
    """Refuse an argument of another type, without a word of what it is: it may be a secret.

    Raises:
        ConfigurationError: It is of another type.
    """
    if not isinstance(value, kind):
        given = type(value).__name__
        del value  # a traceback with locals shows this frame
        raise ConfigurationError(f"{name} must be of the type {kind.__name__}, not {given}.")
