"""The data types of the sandbox: its settings, clients, failures on demand, recorded requests and counts."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import Attribute, evolve, field, frozen

from domo_oauth.base_url import is_loopback
from domo_oauth.credentials import ClientCredentials
from domo_oauth.errors import ConfigurationError
from domo_oauth.redact import one_line
from domo_oauth.scopes import Scope

from .samples import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEMO_CLIENT", "Client", "Failure", "RecordedRequest", "Settings", "Stats", "from_object"]

_T = TypeVar("_T")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_FIELD_VALUE = re.compile(r"[ -~\xa0-\xff]*")


def _must_be(what: str, test: Callable[[Any], bool]) -> Callable[[object, Attribute[Any], Any], None]:
    """Make a validator whose message names the field, but not the value, which could be a secret."""

    def validate(_instance: object, attribute: Attribute[Any], value: Any) -> None:
        with suppress(AttributeError, LookupError, OverflowError, TypeError, ValueError):
            if test(value):
                return
        raise ConfigurationError(f"{attribute.name}: must be {what}.")

    return validate


def _within(what: str, allowed: range) -> Callable[[object, Attribute[Any], Any], None]:
    # By type() rather than isinstance(), as True is not a number.
    return _must_be(what, lambda value: type(value) is int and value in allowed)


_text = _must_be("text", lambda value: isinstance(value, str))
_seconds = _must_be("0 seconds or more", lambda value: math.isfinite(value) and value >= 0)


def _are_datasets(value: Any) -> bool:
    ids = set[str]()
    for each in value:
        columns = each.get("schema", {"columns": []})["columns"]
        texts = [each["id"], each.get("name", ""), each.get("data", ""), *(column["name"] for column in columns)]
        if not all(isinstance(text, str) for text in texts):
            return False
        ids.add(each["id"])
    return len(ids - {""}) == len(value) and isinstance(value, list)


def _sorted_scopes(names: object) -> tuple[str, ...]:
    if not isinstance(names, list | tuple) or not names:
        raise ConfigurationError('scopes: must be a list of one or more names, such as ["data", "user"].')
    return tuple(sorted({str(Scope.custom(name)) for name in cast("list[str]", names)}))


@frozen(kw_only=True)
class Client:
    """A client that may request tokens from the sandbox, and what its tokens say.

    Attributes:
        client_id: The user name for HTTP Basic authentication.
        client_secret: The password. Hidden from the repr.
        scopes: The scopes of the client. A token request without a scope gets them all.
        customer: Name of the Domo instance.
        role: Role of the user that the client acts for.
        user_id: Id of that user.

    Raises:
        ConfigurationError: HTTP Basic cannot carry the id or the secret (RFC 7617, section 2), a scope is malformed
            (RFC 6749, section 3.3), there is no scope, or a value has the wrong type.
    """

    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] = field(converter=_sorted_scopes)
    customer: str = field(default="sandbox", validator=_text)
    role: str = field(default="Admin", validator=_text)
    user_id: int = field(default=123456789, validator=_within("a whole number, 0 or more", range(2**63)))

    def __attrs_post_init__(self) -> None:
        ClientCredentials(self.client_id, self.client_secret)

    @property
    def public_secret(self) -> str:
        """The secret if it is the demo client's, which everybody may see; else empty."""
        return self.client_secret if self.client_secret == "not-a-secret" else ""  # noqa: S105 -- public on purpose


# Without account, buzz and workflow, so that people can try a scope that the client does not have.
DEMO_CLIENT = Client(
    client_id="demo-client",
    client_secret="not-a-secret",  # noqa: S106 -- public on purpose
    scopes=("audit", "dashboard", "data", "user"),
)


@frozen(kw_only=True)
class Failure:
    """A response that the next requests get instead of the usual one.

    Attributes:
        status: The HTTP status code, 200 to 599.
        times: How many requests get it.
        at: ``"token"`` for the token endpoint, or ``"api"`` for everything below ``/v1/``.
        headers: Headers to add or replace, such as ``{"Retry-After": "5"}``.
        body: Text is sent as it is, anything else as JSON. None stands for an error as Domo's servers word it.
        delay: Seconds before the response.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    status: int = field(validator=_within("an HTTP status from 200 to 599", range(200, 600)))
    times: int = field(default=1, validator=_within("1 or more", range(1, 10**9)))
    at: str = field(default="token", validator=_must_be('"token" or "api"', {"token", "api"}.__contains__))
    headers: dict[str, str] = field(
        factory=dict,
        validator=_must_be(
            "names and their values, as text without line ends",
            lambda headers: all(
                _TOKEN.fullmatch(name) and _FIELD_VALUE.fullmatch(value) for name, value in headers.items()
            ),
        ),
    )
    body: object = field(default=None, repr=False)
    delay: float = field(default=0.0, validator=_seconds)


@frozen(kw_only=True)
class Settings:
    """How a sandbox behaves. The command's options and the attributes of `Sandbox` say what each setting means."""

    clients: tuple[Client, ...] = field(
        default=(DEMO_CLIENT,),
        validator=_must_be(
            "one or more, each with a client_id of its own",
            lambda clients: 0 < len(clients) == len({client.client_id for client in clients}),
        ),
    )
    host: str = field(default="127.0.0.1", validator=_must_be("a loopback address, 127.0.0.1 or ::1", is_loopback))
    port: int = field(default=8765, validator=_within("0 (any free one) to 65535", range(65536)))
    lifetime: int = field(default=3599, validator=_within("0 to 2**63 - 1 seconds", range(2**63)))
    delay: float = field(default=0.0, validator=_seconds)
    allowed_hosts: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    datasets: list[dict[str, Any]] = field(
        default=SAMPLES,
        converter=deepcopy,
        validator=_must_be("a list of objects like those of Domo's API, each with an id of its own", _are_datasets),
    )

    def changed(self, changes: object) -> Settings:
        """The settings with another lifetime, delay or datasets.

        Raises:
            ConfigurationError: A value is out of its range, or something else was to change.
        """
        if not isinstance(changes, dict) or not changes.keys() <= {"lifetime", "delay", "datasets"}:
            raise ConfigurationError("Only lifetime, delay and datasets can change.")
        return evolve(self, **cast("dict[str, Any]", changes))


@frozen(kw_only=True)
class RecordedRequest:
    """A request that a sandbox served, without secrets.

    Attributes:
        method: Such as ``GET``.
        path: Without the query, as it was sent.
        status: The status of the response.
        outcome: The count in :class:`Stats` that it added to; empty for none.
        client_id: The client, if it proved who it is by its secret or a valid token; else empty.
        scope: The scopes of the token that was issued or used, separated by spaces; else empty.
    """

    method: str
    path: str
    status: int
    outcome: str = ""
    client_id: str = ""
    scope: str = ""


@frozen(kw_only=True)
class Stats:
    """Counts since the sandbox started or was reset.

    Attributes:
        token_requests: Requests to the token endpoint. Each except OPTIONS also adds to one of the next six, or to
            ``failed``.
        tokens_issued: 200 with a token.
        invalid_client: 401, wrong or no credentials, another ``client_id``, or a grant that the client may not use.
        invalid_request: 400, no grant type.
        unsupported_grant_type: 400, another grant type.
        invalid_scope: 400, a malformed scope or one that the client does not have.
        method_not_allowed: 405.
        outside_contract: Token requests that the contract does not describe, whatever the response.
        resource_requests: Requests to the API, below ``/v1/``.
        invalid_token: 401, no token or an invalid one.
        insufficient_scope: 403.
        failed: Requests to the token endpoint and the API that failed on demand.
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
    failed: int = 0


def from_object(kind: type[_T], given: object) -> _T:
    """Make a value from an object of JSON, with its attributes as keys.

    Raises:
        ConfigurationError: A key is unknown or missing, or a value is wrong. The message shows no value.
    """
    if not isinstance(given, dict):
        raise ConfigurationError("must be an object with names and values.")
    try:
        return kind(**cast("dict[str, Any]", given))
    except TypeError as error:  # such as "Client.__init__() missing 1 required keyword-only argument: 'scopes'"
        raise ConfigurationError(f"{one_line(str(error).partition(') ')[2])}.") from None
