"""Access tokens for Domo's APIs.

The names below are loaded when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from ._version import __version__

TYPE_CHECKING = False  # type checkers know the name; typing itself takes longer to import than all of this

if TYPE_CHECKING:
    from .adapters.httpx import DomoAuth
    from .credentials import ClientCredentials
    from .errors import (
        ConfigurationError,
        DomoOAuthError,
        InvalidClientError,
        InvalidScopeError,
        RateLimitedError,
        ServerError,
        TokenRequestError,
        TransportError,
        UnexpectedResponseError,
    )
    from .provider import TokenProvider, forget_tokens
    from .request import arequest_token, request_token
    from .scopes import Scope
    from .stores import Store, StoreError
    from .stores.file import FileStore
    from .stores.redis import RedisStore
    from .timing import Clock
    from .token import Token

__all__ = [
    "ClientCredentials",
    "Clock",
    "ConfigurationError",
    "DomoAuth",
    "DomoOAuthError",
    "FileStore",
    "InvalidClientError",
    "InvalidScopeError",
    "RateLimitedError",
    "RedisStore",
    "Scope",
    "ServerError",
    "Store",
    "StoreError",
    "Token",
    "TokenProvider",
    "TokenRequestError",
    "TransportError",
    "UnexpectedResponseError",
    "__version__",
    "arequest_token",
    "forget_tokens",
    "request_token",
]

_HOMES = {
    "DomoAuth": "adapters.httpx",
    "ClientCredentials": "credentials",
    "Clock": "timing",
    "FileStore": "stores.file",
    "RedisStore": "stores.redis",
    "Scope": "scopes",
    "Store": "stores",
    "StoreError": "stores",
    "Token": "token",
    "TokenProvider": "provider",
    "arequest_token": "request",
    "forget_tokens": "provider",
    "request_token": "request",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f".{_HOMES.get(name, 'errors')}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
