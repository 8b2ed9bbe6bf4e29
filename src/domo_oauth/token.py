"""An access token, and whom it acts for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import astuple, field, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["Token"]


@frozen(eq=False)
class Token:
    """An access token (RFC 6749, section 5.1). Its repr shows neither the token itself nor `extra`.

    Attributes:
        access_token: The token: opaque and secret, sent as ``Authorization: Bearer <access_token>``.
        expires_in: Lifetime as granted, in seconds.
        expires_at: When it expires: an aware datetime in UTC, counted from before the request was sent.
        token_type: ``bearer``, as the server wrote it.
        scopes: What it may be used for; the scopes that were requested if the answer names none. Empty if neither
            names any.
        customer: Name of the Domo instance.
        role: Role of the user that the client acts for, such as ``Admin``; not a closed list.
        user_id: Id of that user.
        jti: Id of the token; not a secret, and fit for logs.
        extra: Fields that the contract does not name, such as ``env``. Not in the repr, as they may be secret.
    """

    access_token: str = field(repr=False)
    expires_in: int = field(kw_only=True)
    expires_at: datetime = field(kw_only=True)
    token_type: str = field(default="bearer", kw_only=True)
    scopes: frozenset[str] = field(default=frozenset(), kw_only=True)
    customer: str | None = field(default=None, kw_only=True)
    role: str | None = field(default=None, kw_only=True)
    user_id: int | None = field(default=None, kw_only=True)
    jti: str | None = field(default=None, kw_only=True)
    extra: Mapping[str, Any] = field(factory=dict[str, Any], kw_only=True, repr=False)

    # Not those of attrs, or pytest would show the fields if an assertion of equality fails.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and astuple(self, recurse=False) == astuple(other, recurse=False)

    def __hash__(self) -> int:
        return hash((self.access_token, self.expires_at))
