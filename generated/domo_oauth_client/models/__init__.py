"""Contains all the data models used in inputs/outputs"""

from .access_token_response import AccessTokenResponse
from .get_access_token_grant_type import GetAccessTokenGrantType
from .token_error import TokenError

__all__ = (
    "AccessTokenResponse",
    "GetAccessTokenGrantType",
    "TokenError",
)
