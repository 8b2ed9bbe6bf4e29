from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..errors import check_object as _check_object
from ..types import UNSET, Unset

T = TypeVar("T", bound="TokenError")


_SCHEMAS: dict[str, dict[str, Any]] = {
    "error": {"type": "string"},
    "error_description": {"type": "string"},
    "error_uri": {"type": "string"},
    "scope": {"type": "string"},
    "timestamp": {},
    "status": {"type": "integer"},
    "statusReason": {"type": "string"},
    "message": {"type": "string"},
    "path": {"type": "string"},
    "toe": {"type": "string"},
}
_REQUIRED: list[str] = []


@_attrs_define
class TokenError:
    """Why no token was granted. This one object covers all known shapes, so every field is optional:

    - OAuth's: `error`, `error_description`, `error_uri` and `scope` (RFC 6749, section 5.2)
    - the servlet container's: `timestamp`, `status`, `error`, `message` and `path`
    - Domo's, seen in its other APIs: `status`, `statusReason`, `path`, `message` and `toe`

        Attributes:
            error (str | Unset): An error code of RFC 6749, section 5.2 (`invalid_request`, `invalid_client`,
                `invalid_grant`, `unauthorized_client`, `unsupported_grant_type` or `invalid_scope`), `access_denied` or
                `server_error`. In the container's shape, the reason phrase of the status, such as `Unauthorized`. Example:
                invalid_scope.
            error_description (str | Unset): What went wrong, for people to read. Example: Invalid scope: account.
            error_uri (str | Unset): Address of a page about the error. Example:
                https://datatracker.ietf.org/doc/html/rfc6749#section-5.2.
            scope (str | Unset): With `invalid_scope`, the scopes that the client has, separated by spaces. Example: data
                user.
            timestamp (Any | Unset): When the error occurred: a string in a form of ISO 8601, or the number of milliseconds
                since 1970, depending on the server's version (observed). Example: 2019-02-19T14:23:03.891+0000.
            status (int | Unset): The HTTP status code, as in the status line. Example: 401.
            status_reason (str | Unset): A reason phrase. It may not be that of the status. Example: Bad Request.
            message (str | Unset): What went wrong, for people to read. Example: Bad credentials.
            path (str | Unset): Path of the request. Example: /oauth/token.
            toe (str | Unset): The id of the "thread of execution". Log it: Domo's support asks for it. Example:
                DV3ET85U1V-GQ837-V5TN9.
    """

    error: str | Unset = UNSET
    error_description: str | Unset = UNSET
    error_uri: str | Unset = UNSET
    scope: str | Unset = UNSET
    timestamp: Any | Unset = UNSET
    status: int | Unset = UNSET
    status_reason: str | Unset = UNSET
    message: str | Unset = UNSET
    path: str | Unset = UNSET
    toe: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict[str, "Any"], repr=False)

    def to_dict(self) -> dict[str, Any]:
        error = self.error

        error_description = self.error_description

        error_uri = self.error_uri

        scope = self.scope

        timestamp = self.timestamp

        status = self.status

        status_reason = self.status_reason

        message = self.message

        path = self.path

        toe = self.toe

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if error is not UNSET:
            field_dict["error"] = error
        if error_description is not UNSET:
            field_dict["error_description"] = error_description
        if error_uri is not UNSET:
            field_dict["error_uri"] = error_uri
        if scope is not UNSET:
            field_dict["scope"] = scope
        if timestamp is not UNSET:
            field_dict["timestamp"] = timestamp
        if status is not UNSET:
            field_dict["status"] = status
        if status_reason is not UNSET:
            field_dict["statusReason"] = status_reason
        if message is not UNSET:
            field_dict["message"] = message
        if path is not UNSET:
            field_dict["path"] = path
        if toe is not UNSET:
            field_dict["toe"] = toe

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = _check_object(src_dict, _SCHEMAS, _REQUIRED)
        error = d.pop("error", UNSET)

        error_description = d.pop("error_description", UNSET)

        error_uri = d.pop("error_uri", UNSET)

        scope = d.pop("scope", UNSET)

        timestamp = d.pop("timestamp", UNSET)

        status = d.pop("status", UNSET)

        status_reason = d.pop("statusReason", UNSET)

        message = d.pop("message", UNSET)

        path = d.pop("path", UNSET)

        toe = d.pop("toe", UNSET)

        token_error = cls(
            error=error,
            error_description=error_description,
            error_uri=error_uri,
            scope=scope,
            timestamp=timestamp,
            status=status,
            status_reason=status_reason,
            message=message,
            path=path,
            toe=toe,
        )

        token_error.additional_properties = d
        return token_error

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
