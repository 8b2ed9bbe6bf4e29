from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..errors import check_object as _check_object
from ..types import UNSET, Unset

T = TypeVar("T", bound="AccessTokenResponse")


_SCHEMAS: dict[str, dict[str, Any]] = {
    "access_token": {"pattern": "^[!-~]+$", "type": "string", "format": "password"},
    "token_type": {"pattern": "^[Bb][Ee][Aa][Rr][Ee][Rr]$", "type": "string"},
    "expires_in": {"minimum": 0.0, "type": "integer", "format": "int64"},
    "scope": {"type": "string"},
    "customer": {"type": "string"},
    "role": {"type": "string"},
    "userId": {"type": "integer", "format": "int64"},
    "jti": {"type": "string"},
}
_REQUIRED: list[str] = [
    "access_token",
    "token_type",
    "expires_in",
]


@_attrs_define
class AccessTokenResponse:
    """An access token (RFC 6749, section 5.1), and the user that it acts for. Domo adds fields now and then, such as
    `env` and `domain`. Ignore those that you do not know.

    Domo's page does not say which fields are required. This document requires the three that no client can do
    without. Every recorded response has the other five, too.

        Attributes:
            access_token (str): The token. It is a secret: keep it out of logs and URLs. Do not parse it. In practice it is
                a JWT, signed with RS256, but nothing guarantees that. Example:
                eyJhbGciOiJSUzI1NiJ9.eyJzY29wZSI6WyJkYXRhIl19.c2lnbmF0dXJl.
            token_type (str): How to use the token. Always `bearer`; its case does not matter (RFC 6749, section 5.1).
                Example: bearer.
            expires_in (int): Seconds until the token expires, such as 3599. Count them from when you sent the request. It
                is a JSON integer in every response that was recorded or observed. `3599.0` and `"3599"`, which some other
                servers send, break this contract: generated clients in many languages could not read them. Example: 3599.
            scope (str | Unset): The scopes that were granted, separated by spaces. There may be fewer than were requested,
                and others than this document names. Example: data user.
            customer (str | Unset): Name of the Domo instance (the customer) that the client belongs to. Example:
                acmecompany.
            role (str | Unset): Role of the user that the token acts for, such as `Admin` or `Anonymous`. Other values are
                possible. Example: Admin.
            user_id (int | Unset): Id of the Domo user that the token acts for. Example: 964382593.
            jti (str | Unset): Id of this token (the JWT ID of RFC 7519, section 4.1.7); in practice a UUID. It is not a
                secret, so log it. Example: 81dece4c-df73-4569-853c-2d1a328897fd.
    """

    access_token: str = _attrs_field(repr=False)
    token_type: str
    expires_in: int
    scope: str | Unset = UNSET
    customer: str | Unset = UNSET
    role: str | Unset = UNSET
    user_id: int | Unset = UNSET
    jti: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict[str, "Any"], repr=False)

    def to_dict(self) -> dict[str, Any]:
        access_token = self.access_token

        token_type = self.token_type

        expires_in = self.expires_in

        scope = self.scope

        customer = self.customer

        role = self.role

        user_id = self.user_id

        jti = self.jti

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "access_token": access_token,
                "token_type": token_type,
                "expires_in": expires_in,
            }
        )
        if scope is not UNSET:
            field_dict["scope"] = scope
        if customer is not UNSET:
            field_dict["customer"] = customer
        if role is not UNSET:
            field_dict["role"] = role
        if user_id is not UNSET:
            field_dict["userId"] = user_id
        if jti is not UNSET:
            field_dict["jti"] = jti

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = _check_object(src_dict, _SCHEMAS, _REQUIRED)
        access_token = d.pop("access_token")

        token_type = d.pop("token_type")

        expires_in = d.pop("expires_in")

        scope = d.pop("scope", UNSET)

        customer = d.pop("customer", UNSET)

        role = d.pop("role", UNSET)

        user_id = d.pop("userId", UNSET)

        jti = d.pop("jti", UNSET)

        access_token_response = cls(
            access_token=access_token,
            token_type=token_type,
            expires_in=expires_in,
            scope=scope,
            customer=customer,
            role=role,
            user_id=user_id,
            jti=jti,
        )

        access_token_response.additional_properties = d
        return access_token_response

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
