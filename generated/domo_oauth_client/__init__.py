"""A client library for accessing Domo OAuth API"""

from .client import AuthenticatedClient

__all__ = ("AuthenticatedClient",)
