"""What was granted: an access token, and whom it acts for."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .values import Value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["Token"]


class Token(Value):
    """An access token (RFC 6749, section 5.1). Its repr shows all but the token itself.

    Attributes:
        access_token: The token: opaque, secret, to be sent as ``Authorization: Bearer <access_token>``.
        token_type: ``bearer``, as the server wrote it.
        expires_in: Lifetime as granted, in seconds.
        expires_at: When it expires, an aware datetime in UTC, counted from before the request was sent.
        scopes: What it may be used for; what was asked for, where the answer does not say. Empty when neither says.
        customer: Name of the Domo instance.
        role: Role of the user that the client acts for, such as ``Admin``; not a closed list.
        user_id: Id of that user.
        jti: Id of the token; not a secret, and fit for logs.
        extra: Fields that the contract does not name, such as ``env``.
    """

    __slots__ = (  # noqa: RUF023 -- the order of the repr
        "access_token",
        "token_type",
        "expires_in",
        "expires_at",
        "scopes",
        "customer",
        "role",
        "user_id",
        "jti",
        "extra",
    )
    _hidden = ("access_token", "extra")

    access_token: str
    token_type: str
    expires_in: int
    expires_at: datetime
    scopes: frozenset[str]
    customer: str | None
    role: str | None
    user_id: int | None
    jti: str | None
    extra: Mapping[str, Any]

    def __init__(
        self,
        access_token: str,
        *,
        expires_in: int,
        expires_at: datetime,
        token_type: str = "bearer",  # noqa: S107 -- the type's name, not a token
        scopes: frozenset[str] = frozenset(),
        customer: str | None = None,
        role: str | None = None,
        user_id: int | None = None,
        jti: str | None = None,
        extra: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._set(
            access_token,
            token_type,
            expires_in,
            expires_at,
            scopes,
            customer,
            role,
            user_id,
            jti,
            MappingProxyType(dict(extra)),
        )

    def __hash__(self) -> int:
        return hash(self.access_token)

    def __getstate__(self) -> tuple[object, ...]:
        return (*self._fields()[:-1], dict(self.extra))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._set(*state[:-1], MappingProxyType(state[-1]))
