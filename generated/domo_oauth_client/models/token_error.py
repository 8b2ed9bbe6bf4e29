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
    "error": _Rule(
        type="string",
    ),
    "error_description": _Rule(
        type="string",
    ),
    "error_uri": _Rule(
        type="string",
    ),
    "scope": _Rule(
        type="string",
    ),
    "timestamp": _Rule(
        type="string",
    ),
    "status": _Rule(
        type="integer",
    ),
    "statusReason": _Rule(
        type="string",
    ),
    "message": _Rule(
        type="string",
    ),
    "path": _Rule(
        type="string",
    ),
    "toe": _Rule(
        type="string",
    ),
}


@_attrs_frozen
class TokenError:
    """Why no token was granted. One object for every shape that is known, so every field is optional: OAuth's own
    (`error`, `error_description`, `error_uri`, `scope`; RFC 6749, section 5.2), the server container's
    (`timestamp`, `status`, `error`, `message`, `path`), and Domo's (`status`, `statusReason`, `path`, `message`,
    `toe`).

    Attributes:
        error (str | Unset): An error code of RFC 6749 (`invalid_request`, `invalid_client`, `invalid_grant`,
            `unauthorized_client`, `unsupported_grant_type`, `invalid_scope`), or the reason phrase of the status,
            such as `Unauthorized`. Example: invalid_scope.
        error_description (str | Unset): What went wrong, for people. Example: Invalid scope.
        error_uri (str | Unset): Address of a page about the error. Example:
            https://datatracker.ietf.org/doc/html/rfc6749#section-5.2.
        scope (str | Unset): With `invalid_scope`, the scopes that the client has, separated by spaces. Example:
            data user.
        timestamp (str | Unset): When the error occurred, in a form of ISO 8601; take other forms than the
            example's, too. Example: 2019-02-19T14:23:03.891+0000.
        status (int | Unset): The HTTP status code once more. Example: 401.
        status_reason (str | Unset): A reason phrase, which need not fit the status. Example: Bad Request.
        message (str | Unset): What went wrong, for people. Example: Bad credentials.
        path (str | Unset): Path of the request. Example: /oauth/token.
        toe (str | Unset): "Thread of execution": the id that Domo's support asks for. Log it. Example:
            DV3ET85U1V-GQ837-V5TN9.
        additional_properties (Mapping[str, Any]): Fields that the contract does not name. Read-only, and
            not in the repr.
    """

    error: str | Unset = UNSET
    error_description: str | Unset = UNSET
    error_uri: str | Unset = UNSET
    scope: str | Unset = UNSET
    timestamp: str | Unset = UNSET
    status: int | Unset = UNSET
    status_reason: str | Unset = UNSET
    message: str | Unset = UNSET
    path: str | Unset = UNSET
    toe: str | Unset = UNSET
    _additional_properties: Mapping[str, Any] = _attrs_field(
        alias="additional_properties", factory=dict[str, "Any"], converter=_copied, kw_only=True, repr=False, hash=False
    )

    @property
    def additional_properties(self) -> Mapping[str, Any]:
        """Fields that the contract does not name."""
        return MappingProxyType(self._additional_properties)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are set, under their JSON names."""
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
        field_dict: dict[str, Any] = {
            "error": error,
            "error_description": error_description,
            "error_uri": error_uri,
            "scope": scope,
            "timestamp": timestamp,
            "status": status,
            "statusReason": status_reason,
            "message": message,
            "path": path,
            "toe": toe,
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
        return cls(
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
            additional_properties=d,
        )
