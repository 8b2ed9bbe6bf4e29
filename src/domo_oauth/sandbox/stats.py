"""What a sandbox has counted."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Stats"]


@dataclass(slots=True)
class Stats:
    """Counts since the sandbox started, or since the last reset. They hold no token and no secret.

    Attributes:
        token_requests: Requests to the token endpoint, counted when they come in; each ends as one of the next six.
        tokens_issued: 200 with a token, whether or not the answer reached anybody.
        invalid_client: 401, wrong or no credentials.
        invalid_request: 400, no grant type.
        unsupported_grant_type: 400, another grant type.
        invalid_scope: 400, a scope that the client does not have, or one badly written.
        method_not_allowed: 405.
        outside_contract: Token requests that the contract does not describe, whatever came of them.
        resource_requests: Requests to the protected resource; those that are none of the next two had a good token.
        invalid_token: 401, no token or one that does not hold.
        insufficient_scope: 403.
    """

    token_requests: int = 0
    tokens_issued: int = 0
    invalid_client: int = 0
    invalid_request: int = 0
    unsupported_grant_type: int = 0
    invalid_scope: int = 0
    method_not_allowed: int = 0
    outside_contract: int = 0
    resource_requests: int = 0
    invalid_token: int = 0
    insufficient_scope: int = 0

    def count(self, name: str) -> None:
        """Add one to a count."""
        setattr(self, name, getattr(self, name) + 1)
