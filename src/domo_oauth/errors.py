"""Errors: what went wrong, and what to do about it.

Every message says what happened, on which request, whose fault it most likely is, and what to do next. No message and
no attribute holds a client secret or a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import Self


class DomoOAuthError(Exception):
    """Base class of all errors of this package. They can be pickled."""

    retryable: bool = False
    """Whether the same request may succeed later, without a change."""

    def __copy__(self) -> Self:
        """The error without its traceback, cause and context: everybody who waited for a request gets a copy."""
        twin = type(self).__new__(type(self), *self.args)
        twin.__dict__.update(self.__dict__)
        return twin


class ConfigurationError(DomoOAuthError):
    """Something on this side is invalid or missing: an argument, the environment, or a package. Nothing was sent."""


class TransportError(DomoOAuthError):
    """There was no response in time: connecting or TLS failed, or the wait timed out."""

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class TokenRequestError(DomoOAuthError):
    """The endpoint responded, but granted no token (RFC 6749, section 5.2).

    Attributes:
        status: The HTTP status code; None if it is not known.
        error: The error code of RFC 6749, such as ``invalid_scope``, or what the response has in its place.
        description: What the server says went wrong.
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
    """``invalid_scope``, normally with 400: the client does not have a scope that was requested."""


class RateLimitedError(TokenRequestError):
    """429: too many requests. ``retry_after`` says how many seconds to wait, if the server says so."""


class ServerError(TokenRequestError):
    """5xx: a fault at Domo, or at a proxy in between."""


class UnexpectedResponseError(TokenRequestError):
    """A response that breaks the contract: it is not Domo's, it was cut off, or Domo has changed something."""


SHARED_REFUSALS = (InvalidClientError, InvalidScopeError, RateLimitedError, ServerError)
"""Errors that every process would get, so other processes need not send a request. Connection errors, and a 403 from an
allow list, may concern one machine only."""


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its cause or context, the cause of that and so on. Stops at a cycle."""
    seen = set[int]()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        yield current
        seen.add(id(current))
        current = current.__cause__ or current.__context__


def require(name: str, value: object, kind: type) -> None:
    """Check the type of an argument, without showing its value: it may be a secret.

    Raises:
        ConfigurationError: It has another type.
    """
    if not isinstance(value, kind):
        given = type(value).__name__
        del value  # tracebacks can show locals
        raise ConfigurationError(f"{name} must be of the type {kind.__name__}, not {given}.")
