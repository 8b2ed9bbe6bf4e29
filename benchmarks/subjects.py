"""The libraries under measurement: one function each, which says how that library does a thing.

This module runs in every library's environment, so a library is imported where it is used.
"""

from __future__ import annotations

import http.client
import itertools
import json
import logging
import os
import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module as load
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from .endpoint import LIFETIME

if TYPE_CHECKING:
    from collections.abc import Callable

OURS = "domo-oauth"
SCOPES = "data user"
SECRET = "s" * 64
_HTTPS = "https://localhost"
_numbers = itertools.count()


class Keeper:
    """An object of a library that keeps a token (``it``), and some of these actions:

    - ``get()`` returns a valid token, and fetches one if need be; ``aget()`` does so in a task.
    - ``make_stale()`` makes the token due for renewal, yet still good.
    - ``step(request)`` returns what is done to an ``httpx.Request`` before it is sent.
    - ``sender(url)`` returns what sends a request with the library's own client, or the one that it works with.

    An action that is missing is one that the library cannot do by itself.
    """

    def __init__(self, it: Any, **actions: Callable[..., Any]) -> None:
        self.it = it
        self.__dict__.update(actions)

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(name)


class How(NamedTuple):
    """What kind of object to make."""

    url: str
    """Of the endpoint."""
    kind: str = ""
    """``tasks``: for the tasks of the running event loop; ``aged``: its token can be made stale; ``plain``: to be
    pickled; ``filed``: it keeps its token in the ``folder``; else any."""
    folder: Any = None
    it: Any = None
    """Use this object instead of a new one."""
    timeout: float | None = None
    """Seconds that a caller waits for a token at most, as far as the library can be told so."""

    @property
    def options(self) -> dict[str, Any]:
        """The timeout as an argument, if there is one."""
        return {} if self.timeout is None else {"timeout": self.timeout}

    @property
    def token_url(self) -> str:
        return f"{self.url}/oauth/token"

    @property
    def api_url(self) -> str:
        return f"{self.url}/v1/datasets"


class Subject(NamedTuple):
    """A library."""

    name: str
    """That of its distribution."""
    make: Callable[[How], Keeper]
    imports: str
    """What a program imports."""
    script: str = ""
    """A program that prints a token and keeps it in the file that DOMO_STORE names."""
    requests_tokens: bool = True
    """Whether it sends the token request itself."""
    on_trio: bool = False
    one_for_all: bool = False
    """Whether threads and tasks can share an object."""
    files: bool | None = False
    """Whether it can keep a token in a file; None if it does so only where a benchmark should not."""


SUBJECTS: dict[str, Subject] = {}


def subject(name: str, imports: str, **facts: Any) -> Callable[[Callable[[How], Keeper]], None]:
    """Add a library."""

    def add(make: Callable[[How], Keeper]) -> None:
        SUBJECTS[name] = Subject(name, make, imports, **facts)

    return add


def client_id() -> str:
    """A new id for each object, as some libraries share a token between objects of the same client."""
    return f"bench-{next(_numbers)}"


def first_of(auth_flow: Callable[[Any], Any], request: Any) -> None:
    """Take an auth flow of httpx to its first request."""
    flow = auth_flow(request)
    next(flow)
    flow.close()


@subject(OURS, "from domo_oauth import TokenProvider", on_trio=True, one_for_all=True, files=True)
def domo_oauth(how: How) -> Keeper:
    library, ahead, options = load("domo_oauth"), [0.0], dict[str, Any]()
    if how.kind == "aged":
        options["clock"] = library.Clock(lambda: time.monotonic() + ahead[0], lambda: time.time() + ahead[0])
    if how.kind == "filed":
        options["store"] = library.FileStore(how.folder)
    credentials = library.ClientCredentials(client_id(), SECRET)
    it = how.it or library.TokenProvider(credentials, scopes=SCOPES, base_url=how.url, **options)

    def sender(url: str) -> Callable[[], object]:
        return partial(load("httpx").Client(auth=library.DomoAuth(it), follow_redirects=True).get, url)

    return Keeper(
        it,
        get=partial(it.get_token, **how.options) if how.options else it.get_token,
        aget=it.aget_token,
        make_stale=lambda: ahead.append(ahead.pop() + LIFETIME - 120),
        step=lambda request: partial(first_of, library.DomoAuth(it).sync_auth_flow, request),
        sender=sender,
    )


_HTTPX_AUTH = """\
import os
from httpx_auth import JsonTokenFileCache, OAuth2, OAuth2ClientCredentials
OAuth2.token_cache = JsonTokenFileCache(os.environ["DOMO_STORE"])
auth = OAuth2ClientCredentials(
    os.environ["DOMO_API_URL"] + "/oauth/token",
    client_id=os.environ["DOMO_CLIENT_ID"],
    client_secret=os.environ["DOMO_CLIENT_SECRET"],
)
print(OAuth2.token_cache.get_token(auth.state, early_expiry=30.0, on_missing_token=auth.request_new_token))
"""


@subject("httpx-auth", "import httpx_auth", script=_HTTPX_AUTH, on_trio=True, one_for_all=True, files=True)
def httpx_auth(how: How) -> Keeper:
    httpx, library = load("httpx"), load("httpx_auth")
    if how.kind == "filed":
        library.OAuth2.token_cache = library.JsonTokenFileCache(how.folder / "tokens.json")
    options = how.options
    if how.kind != "plain":
        options["client"] = httpx.Client()  # without one, it makes one for each token
    it = how.it or library.OAuth2ClientCredentials(
        how.token_url, client_id=client_id(), client_secret=SECRET, scope=SCOPES, **options
    )
    cache, request = library.OAuth2.token_cache, httpx.Request("GET", how.api_url)

    async def aget() -> None:
        flow = it.async_auth_flow(request)
        await anext(flow)
        await flow.aclose()

    return Keeper(
        it,
        get=lambda: cache.get_token(it.state, early_expiry=it.early_expiry, on_missing_token=it.request_new_token),
        aget=aget,
        step=lambda request: partial(first_of, it.sync_auth_flow, request),
        sender=lambda url: partial(httpx.Client(auth=it, follow_redirects=True).get, url),
    )


@subject("authlib", "import authlib.integrations.httpx_client")
def authlib(how: How) -> Keeper:
    library = load("authlib.integrations.httpx_client")
    make = library.AsyncOAuth2Client if how.kind == "tasks" else library.OAuth2Client
    options = {"token_endpoint": how.token_url, "grant_type": "client_credentials", **how.options}
    it = how.it or make(client_id(), SECRET, scope=SCOPES, **options)

    def get() -> Any:  # it does not fetch the first token by itself
        return it.ensure_active_token(it.token) if it.token else it.fetch_token()

    def prepare(request: Any) -> None:
        it.ensure_active_token(it.token)
        first_of(it.token_auth.sync_auth_flow, request)

    return Keeper(
        it,
        get=get,
        aget=get,
        step=lambda request: partial(prepare, request),
        sender=lambda url: partial(it.get, url, follow_redirects=True),
    )


@subject("botocore", "import botocore.tokens", requests_tokens=False)
def botocore(how: How) -> Keeper:
    """Its class for bearer tokens; the caller sends the token request."""
    library = load("botocore.tokens")

    def refresh() -> Any:
        connection = http.client.HTTPConnection(urlsplit(how.url).netloc, timeout=30)
        basic = b64encode(f"bench:{SECRET}".encode()).decode()
        connection.request("GET", "/oauth/token", headers={"Authorization": f"Basic {basic}"})
        response = connection.getresponse()
        granted = json.loads(response.read())
        connection.close()
        if response.status != http.client.OK:
            raise OSError(response.status)
        expires = datetime.now(UTC) + timedelta(seconds=granted["expires_in"])
        return library.FrozenAuthToken(granted["access_token"], expires)

    it = how.it or library.DeferredRefreshableToken("bench", refresh)

    def make_stale() -> None:
        it._frozen_token = it._frozen_token._replace(expiration=datetime.now(UTC) + timedelta(minutes=12))
        it._next_refresh = datetime.now(UTC)

    return Keeper(it, get=it.get_frozen_token, make_stale=make_stale)


@subject("openai", "import openai.auth", one_for_all=True)
def openai(how: How) -> Keeper:
    """Its exchange of a workload's identity for a token."""
    provider = {"token_type": "jwt", "get_token": partial(str, SECRET)}
    identity = {"identity_provider_id": "bench", "service_account_id": client_id(), "provider": provider}
    make = load("openai.auth._workload").WorkloadIdentityAuth
    it = how.it or make(workload_identity=identity, token_exchange_url=how.token_url)

    def sender(url: str) -> Callable[[], object]:
        client = load("openai").OpenAI(base_url=how.url, workload_identity=it.workload_identity)
        client._workload_identity_auth = it
        return partial(client.get, url, cast_to=object)

    return Keeper(
        it,
        get=it.get_token,
        aget=it.get_token_async,
        make_stale=lambda: setattr(it, "_cached_token_refresh_at_monotonic", 0.0),
        sender=sender,
    )


_MSAL = """\
import os
from pathlib import Path
import msal
import requests
session, store = requests.Session(), Path(os.environ["DOMO_STORE"])
send = session.request
session.request = lambda method, url, **more: send(
    method, url.replace("https://localhost", os.environ["DOMO_API_URL"], 1), **more
)
cache = msal.SerializableTokenCache()
if store.exists():
    cache.deserialize(store.read_text())
app = msal.ConfidentialClientApplication(
    os.environ["DOMO_CLIENT_ID"],
    client_credential=os.environ["DOMO_CLIENT_SECRET"],
    authority="https://localhost/tenant",
    instance_discovery=False,
    token_cache=cache,
    http_client=session,
)
print(app.acquire_token_for_client(["data"])["access_token"])
store.write_text(cache.serialize())
"""


@subject("msal", "import msal", script=_MSAL)
def msal(how: How) -> Keeper:
    """It insists on https, so its session rewrites its URLs to the plain server."""
    session = load("requests").Session()
    send = partial(session.request, **how.options)
    session.request = lambda method, url, **more: send(method, url.replace(_HTTPS, how.url, 1), **more)
    it = how.it or load("msal").ConfidentialClientApplication(
        client_id(),
        client_credential=SECRET,
        authority=f"{_HTTPS}/tenant",
        instance_discovery=False,
        http_client=session,
    )
    return Keeper(it, get=lambda: it.acquire_token_for_client(["data"])["access_token"])


def _azure_send(plain: str, send: Callable[..., object], request: Any, **options: Any) -> object:
    request.url = request.url.replace(_HTTPS, plain, 1).replace("https:", "http:", 1)
    return send(request, **options)


@subject("azure-identity", "import azure.identity", files=None)  # it keeps tokens in the user's keyring
def azure_identity(how: How) -> Keeper:
    """It insists on https, too. Its credential shares nothing between tasks; the policy that azure-core adds does."""
    tasks, pipeline, rest = how.kind == "tasks", load("azure.core.pipeline"), load("azure.core.rest")
    policies = load("azure.core.pipeline.policies")

    def transport() -> Any:
        times = {"connection_timeout": how.timeout, "read_timeout": how.timeout} if how.timeout else {}
        make = getattr(load("azure.core.pipeline.transport"), "AioHttpTransport" if tasks else "RequestsTransport")
        made = make(**times)
        made.send = partial(_azure_send, how.url, made.send)  # which can be pickled
        return made

    make = load("azure.identity.aio" if tasks else "azure.identity").ClientSecretCredential
    options = {"authority": _HTTPS, "disable_instance_discovery": True, **how.options}
    it = how.it or make("tenant", client_id(), SECRET, transport=transport(), **options)

    def sender(url: str) -> Callable[[], object]:
        stack = [  # as its clients have them
            policies.RedirectPolicy(),
            policies.RetryPolicy(),
            policies.BearerTokenCredentialPolicy(it, "data"),
            policies.SensitiveHeaderCleanupPolicy(),
            policies.HttpLoggingPolicy(),
        ]
        client = load("azure.core").PipelineClient(_HTTPS, transport=transport(), policies=stack)
        target = url.replace(how.url, _HTTPS, 1).replace("http:", "https:", 1)
        return lambda: client.send_request(rest.HttpRequest("GET", target))

    if not tasks:
        return Keeper(it, get=lambda: it.get_token("data"), sender=sender)
    policy, request = policies.AsyncBearerTokenCredentialPolicy(it, "data"), rest.HttpRequest("GET", _HTTPS)
    context = pipeline.PipelineContext(None)
    return Keeper(it, aget=lambda: policy.on_request(pipeline.PipelineRequest(request, context)))


@subject("google-auth", "import google.oauth2.credentials")
def google_auth(how: How) -> Keeper:
    """It has no client credentials grant, so this refreshes a token, which is one request, too."""
    transports = load("google.auth.transport.requests")
    it = how.it or load("google.oauth2.credentials").Credentials(
        None, refresh_token="refresh", token_uri=how.token_url, client_id=client_id(), client_secret=SECRET
    )
    it.with_non_blocking_refresh()
    transport = partial(transports.Request(), **how.options)
    return Keeper(
        it,
        get=lambda: it.before_request(transport, "GET", how.api_url, {}),
        make_stale=lambda: setattr(it, "expiry", datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=2)),
        sender=lambda url: partial(transports.AuthorizedSession(it).get, url),
    )


@subject("requests-oauth2client", "import requests_oauth2client")
def requests_oauth2client(how: How) -> Keeper:
    library, requests = load("requests_oauth2client"), load("requests")
    client = library.OAuth2Client(token_endpoint=how.token_url, auth=(client_id(), SECRET), testing=True)
    client.session.request = partial(client.session.request, **how.options)
    it = how.it or library.OAuth2ClientCredentialsAuth(client, scope=SCOPES)
    request = requests.Request("GET", how.api_url).prepare()
    return Keeper(it, get=lambda: it(request), sender=lambda url: partial(requests.Session().get, url, auth=it))


@subject("requests-oauthlib", "import requests_oauthlib")
def requests_oauthlib(how: How) -> Keeper:
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    client = load("oauthlib.oauth2").BackendApplicationClient(client_id=client_id(), scope=SCOPES.split())
    it = how.it or load("requests_oauthlib").OAuth2Session(client=client)

    def get() -> object:
        if not it.token:  # it does not fetch the first token by itself
            it.fetch_token(how.token_url, client_id=it.client_id, client_secret=SECRET, timeout=how.timeout)
        return it._client.add_token(how.api_url, http_method="GET", body=None, headers={})

    return Keeper(it, get=get, sender=lambda url: partial(it.get, url))


@subject("pydomo", "import pydomo")
def pydomo(how: How) -> Keeper:
    """Domo's own SDK. Its constructor fetches a token, so the first call here runs it."""
    transport = load("pydomo.Transport").DomoAPITransport
    it = how.it or transport.__new__(transport)
    host, silent = urlsplit(how.url).netloc, logging.getLogger("bench")
    silent.disabled = True

    def get() -> object:
        if not hasattr(it, "access_token"):
            it.__init__(client_id(), SECRET, host, False, silent, how.timeout, SCOPES.split())  # noqa: FBT003
        elif it.token_expiration < time.time():
            it._renew_access_token()
        return it._headers_default_receive_json()

    return Keeper(it, get=get, sender=lambda url: partial(it.get, urlsplit(url).path, {}))
