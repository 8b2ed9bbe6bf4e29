from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

from attrs import field as _attrs_field
from attrs import frozen as _attrs_frozen

from ..types import UNSET, Unset
from ..types import Rule as _Rule
from ..types import copied as _copied
from ..types import read_object as _read_object

_RULES = {
    "access_token": _Rule(
        type="string",
        required=True,
        pattern="^[!-~]+$",
    ),
    "token_type": _Rule(
        type="string",
        required=True,
        pattern="^[Bb][Ee][Aa][Rr][Ee][Rr]$",
    ),
    "expires_in": _Rule(
        type="integer",
        required=True,
        minimum=0,
        maximum=9223372036854775807,
    ),
    "scope": _Rule(
        type="string",
    ),
    "customer": _Rule(
        type="string",
    ),
    "role": _Rule(
        type="string",
    ),
    "userId": _Rule(
        type="integer",
        minimum=-9223372036854775808,
        maximum=9223372036854775807,
    ),
    "jti": _Rule(
        type="string",
    ),
}


@_attrs_frozen
class AccessTokenResponse:
    """A granted access token (RFC 6749, section 5.1) and whom it acts for. Domo adds fields now and then (`env` and
    `domain` have been seen): pass over those that you do not know.

    The page marks no field as required. The three that are required here are those that a client cannot do
    without; the recorded answers had the other five, too.

    Attributes:
        access_token (str): The token. Opaque: in practice a JWT signed with RS256, but nothing promises that it
            stays one. A secret; keep it out of logs and URLs. Example:
            eyJhbGciOiJSUzI1NiJ9.eyJzY29wZSI6WyJkYXRhIl19.c2lnbmF0dXJl.
        token_type (str): How to use the token. Always `bearer`, in upper or lower case (RFC 6749, section 7.1).
            Example: bearer.
        expires_in (int): Lifetime of the token in seconds, from the moment of the answer. Seen as 3599, of a
            nominal hour. It alone tells when the token expires. Example: 3599.
        scope (str | Unset): The scopes that were granted, separated by spaces. May be fewer than were asked
            for, and may name scopes that this document does not know. Example: data user.
        customer (str | Unset): Name of the Domo instance (the customer) that the client belongs to. Example:
            acmecompany.
        role (str | Unset): Role of the user that the client acts for. Not a closed list; `Admin` and
            `Anonymous` have been seen. Example: Admin.
        user_id (int | Unset): Id of the Domo user that the client acts for. Example: 964382593.
        jti (str | Unset): Id of this token (the JWT ID of RFC 7519, section 4.1.7). Not a secret, and fit for
            logs. A UUID in practice. Example: 81dece4c-df73-4569-853c-2d1a328897fd.
        additional_properties (Mapping[str, Any]): Fields that the contract does not name. Read-only, and
            not in the repr.
    """

    access_token: str = _attrs_field(repr=False)
    token_type: str
    expires_in: int
    scope: str | Unset = UNSET
    customer: str | Unset = UNSET
    role: str | Unset = UNSET
    user_id: int | Unset = UNSET
    jti: str | Unset = UNSET
    _additional_properties: Mapping[str, Any] = _attrs_field(
        alias="additional_properties", factory=dict[str, "Any"], converter=_copied, kw_only=True, repr=False, hash=False
    )

    @property
    def additional_properties(self) -> Mapping[str, Any]:
        """Fields that the contract does not name."""
        return MappingProxyType(self._additional_properties)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are set, under their JSON names."""
        access_token = self.access_token
        token_type = self.token_type
        expires_in = self.expires_in
        scope = self.scope
        customer = self.customer
        role = self.role
        user_id = self.user_id
        jti = self.jti
        field_dict: dict[str, Any] = {
            "access_token": access_token,
            "token_type": token_type,
            "expires_in": expires_in,
            "scope": scope,
            "customer": customer,
            "role": role,
            "userId": user_id,
            "jti": jti,
        }
        field_dict = {**self._additional_properties, **field_dict}
        return {name: value for name, value in field_dict.items() if value is not UNSET}

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        """Read a JSON object.

        Raises:
            errors.ResponseValidationError: The object breaks the contract.
        """
        d = _read_object(src_dict, _RULES)
        access_token = d.pop("access_token")
        token_type = d.pop("token_type")
        expires_in = d.pop("expires_in")
        scope = d.pop("scope", UNSET)
        customer = d.pop("customer", UNSET)
        role = d.pop("role", UNSET)
        user_id = d.pop("userId", UNSET)
        jti = d.pop("jti", UNSET)
        return cls(
            access_token=access_token,
            token_type=token_type,
            expires_in=expires_in,
            scope=scope,
            customer=customer,
            role=role,
            user_id=user_id,
            jti=jti,
            additional_properties=d,
        )
