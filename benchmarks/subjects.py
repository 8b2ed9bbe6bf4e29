"""What is measured: one class for each library, which says how that library does each thing.

This module runs in every environment, so it imports a library only where it is used. What a class does not define,
its library cannot do, or not without work that would be ours; its row is left out.
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
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .endpoint import LIFETIME

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

SCOPES = "data user"
Sample = dict[str, float]
"""What was measured once, by name."""
SECRET = "s" * 64
"""Taken by a server that takes any."""
_HTTPS = "https://localhost"
_numbers = itertools.count()


def client_id() -> str:
    """Another one each time, as libraries share a token among objects for the same client."""
    return f"bench-{next(_numbers)}"


class Subject:
    """A library. ``it`` is the object of that library's that keeps a token."""

    module: str
    """What a program imports to use it."""
    names = ""
    """What a program imports from it, where importing the module alone loads next to nothing."""
    sends_the_request = True
    """Whether it asks for the token itself, and does not leave that to the caller."""
    runs_on_trio = False
    """Whether it is asked there, too. Authlib could be, and takes a minute to fail as it does on asyncio."""
    sends_anywhere = True
    """Whether its client, where it has one, can be told to send to another origin."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.token_url = f"{base_url}/oauth/token"
        self.api_url = f"{base_url}/v1/datasets"

    @property
    def one_object_for_all(self) -> bool:
        """Whether threads and tasks can share an object."""
        return type(self).anew is Subject.anew

    def new(self) -> Any:
        """Make an object that has no token yet."""
        raise NotImplementedError

    def shared(self, folder: Path) -> Any:  # noqa: ARG002 -- for those that can
        """Make an object that has no token yet and shares one with other processes, if it can."""
        return self.new()

    def filed(self, folder: Path) -> Any:
        """Make an object that has no token yet and keeps it in a folder."""
        raise NotImplementedError

    def plain(self) -> Any:
        """Make an object that has no token yet, with nothing in it that is there for the sake of a figure."""
        return self.new()

    def ageing(self) -> Any:
        """Make an object that has no token yet, and whose token can be made stale."""
        return self.new()

    def getter(self, it: Any) -> Callable[[], object]:
        """What gives a valid token, and fetches it if need be, or raises."""
        raise NotImplementedError

    def agetter(self, it: Any) -> Callable[[], Awaitable[object]]:
        """The same for a task."""
        raise NotImplementedError

    def make_stale(self, it: Any) -> None:
        """Make the token one that should be renewed and can still be used."""
        raise NotImplementedError

    def step(self, it: Any, request: Any) -> Callable[[], object]:
        """All that is done to an ``httpx.Request`` before it is sent."""
        raise NotImplementedError

    def sender(self, it: Any, url: str | None = None) -> Callable[[], object]:
        """Send a request to the API, or to another URL, by the library's own client or what it has for one."""
        raise NotImplementedError

    def anew(self) -> Any:
        """Make an object for tasks, in their event loop."""
        return self.new()

    async def aclose(self, it: Any) -> None:
        """Close an object for tasks."""


class DomoOAuth(Subject):
    module = "domo_oauth"
    names = "TokenProvider"
    runs_on_trio = True
    _ahead = 0.0
    """Seconds by which the clock of ageing objects is ahead."""

    def new(self, **options: Any) -> Any:
        library = import_module("domo_oauth")
        credentials = library.ClientCredentials(client_id(), SECRET)
        return library.TokenProvider(credentials, scopes=SCOPES, base_url=self.base_url, **options)

    def shared(self, folder: Path) -> Any:
        return self.new(store=import_module("domo_oauth").FileStore(folder))

    def filed(self, folder: Path) -> Any:
        return self.shared(folder)

    def getter(self, it: Any) -> Callable[[], object]:
        return it.get_token  # type: ignore[no-any-return]

    def agetter(self, it: Any) -> Callable[[], Awaitable[object]]:
        return it.aget_token  # type: ignore[no-any-return]

    def ageing(self) -> Any:
        clock = import_module("domo_oauth").Clock
        return self.new(clock=clock(lambda: time.monotonic() + self._ahead, lambda: time.time() + self._ahead))

    def make_stale(self, it: Any) -> None:  # noqa: ARG002 -- all that share its clock
        self._ahead += LIFETIME - 120

    def step(self, it: Any, request: Any) -> Callable[[], object]:
        auth = import_module("domo_oauth").DomoAuth(it)
        return lambda: first_of(auth.sync_auth_flow(request))

    def sender(self, it: Any, url: str | None = None) -> Callable[[], object]:
        client = import_module("httpx").Client(auth=import_module("domo_oauth").DomoAuth(it), follow_redirects=True)
        return lambda: client.get(url or self.api_url)


class HttpxAuth(Subject):
    module = "httpx_auth"
    runs_on_trio = True

    def new(self) -> Any:
        library = import_module("httpx_auth")
        client = import_module("httpx").Client()  # else it makes one for each token
        return library.OAuth2ClientCredentials(
            self.token_url, client_id=client_id(), client_secret=SECRET, scope=SCOPES, client=client
        )

    def shared(self, folder: Path) -> Any:
        library = import_module("httpx_auth")
        library.OAuth2.token_cache = library.JsonTokenFileCache(folder / "tokens.json")
        return self.new()

    def filed(self, folder: Path) -> Any:
        return self.shared(folder)

    def plain(self) -> Any:
        library = import_module("httpx_auth")
        return library.OAuth2ClientCredentials(
            self.token_url, client_id=client_id(), client_secret=SECRET, scope=SCOPES
        )

    def getter(self, it: Any) -> Callable[[], object]:
        cache = import_module("httpx_auth").OAuth2.token_cache
        return lambda: cache.get_token(it.state, early_expiry=it.early_expiry, on_missing_token=it.request_new_token)

    def agetter(self, it: Any) -> Callable[[], Awaitable[object]]:
        request = import_module("httpx").Request("GET", self.api_url)

        async def get() -> None:
            flow = it.async_auth_flow(request)
            await anext(flow)
            await flow.aclose()

        return get

    def step(self, it: Any, request: Any) -> Callable[[], object]:
        return lambda: first_of(it.sync_auth_flow(request))

    def sender(self, it: Any, url: str | None = None) -> Callable[[], object]:
        client = import_module("httpx").Client(auth=it, follow_redirects=True)
        return lambda: client.get(url or self.api_url)


class Authlib(Subject):
    module = "authlib.integrations.httpx_client"

    def _make(self, name: str) -> Any:
        make = getattr(import_module(self.module), name)
        return make(client_id(), SECRET, scope=SCOPES, token_endpoint=self.token_url, grant_type="client_credentials")

    def new(self) -> Any:
        return self._make("OAuth2Client")

    def anew(self) -> Any:
        return self._make("AsyncOAuth2Client")

    def getter(self, it: Any) -> Callable[[], object]:
        # It fetches a first token only when it is told to.
        return lambda: it.ensure_active_token(it.token) if it.token else it.fetch_token()

    def agetter(self, it: Any) -> Callable[[], Awaitable[object]]:
        return lambda: it.ensure_active_token(it.token) if it.token else it.fetch_token()

    def step(self, it: Any, request: Any) -> Callable[[], object]:
        def prepare() -> None:
            it.ensure_active_token(it.token)
            first_of(it.token_auth.sync_auth_flow(request))

        return prepare

    def sender(self, it: Any, url: str | None = None) -> Callable[[], object]:
        return lambda: it.get(url or self.api_url, follow_redirects=True)

    async def aclose(self, it: Any) -> None:
        await it.aclose()


class Botocore(Subject):
    """Its class for bearer tokens; the request itself is left to the caller."""

    module = "botocore.tokens"
    sends_the_request = False

    def new(self) -> Any:
        library = import_module("botocore.tokens")
        return library.DeferredRefreshableToken("bench", self._refresh)

    def _refresh(self) -> Any:
        granted = self._fetch()
        lifetime = timedelta(seconds=granted["expires_in"])
        return import_module("botocore.tokens").FrozenAuthToken(granted["access_token"], datetime.now(UTC) + lifetime)

    def _fetch(self) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.base_url).netloc, timeout=30)
        basic = b64encode(f"bench:{SECRET}".encode()).decode()
        connection.request(
            "GET", "/oauth/token?grant_type=client_credentials", headers={"Authorization": f"Basic {basic}"}
        )
        response = connection.getresponse()
        content = json.loads(response.read())
        connection.close()
        if response.status != http.client.OK:
            raise OSError(response.status)
        return content

    def getter(self, it: Any) -> Callable[[], object]:
        return it.get_frozen_token  # type: ignore[no-any-return]

    def make_stale(self, it: Any) -> None:
        soon = datetime.now(UTC) + timedelta(minutes=12)
        it._frozen_token = it._frozen_token._replace(expiration=soon)
        it._next_refresh = datetime.now(UTC)


class OpenAI(Subject):
    """Its exchange of a workload's identity for a token."""

    module = "openai.auth"

    def new(self) -> Any:
        library = import_module("openai.auth._workload")
        identity = {
            "identity_provider_id": "bench",
            "service_account_id": client_id(),
            "provider": {"token_type": "jwt", "get_token": partial(str, SECRET)},
        }
        return library.WorkloadIdentityAuth(workload_identity=identity, token_exchange_url=self.token_url)

    def getter(self, it: Any) -> Callable[[], object]:
        return it.get_token  # type: ignore[no-any-return]

    def agetter(self, it: Any) -> Callable[[], Awaitable[object]]:
        return it.get_token_async  # type: ignore[no-any-return]

    def make_stale(self, it: Any) -> None:
        it._cached_token_refresh_at_monotonic = 0.0

    def sender(self, it: Any, url: str | None = None) -> Callable[[], object]:
        client = import_module("openai").OpenAI(base_url=self.base_url, workload_identity=it.workload_identity)
        client._workload_identity_auth = it
        return lambda: client.get(url or self.api_url, cast_to=object)


class Msal(Subject):
    module = "msal"

    def new(self) -> Any:
        return import_module("msal").ConfidentialClientApplication(
            client_id(),
            client_credential=SECRET,
            authority=f"{_HTTPS}/tenant",
            instance_discovery=False,
            http_client=self._session(),
        )

    def _session(self) -> Any:
        session = import_module("requests").Session()
        request = session.request
        session.request = lambda method, url, **options: request(method, self._plain(url), **options)
        return session

    def _plain(self, url: str) -> str:
        return url.replace(_HTTPS, self.base_url, 1)

    def getter(self, it: Any) -> Callable[[], object]:
        return lambda: it.acquire_token_for_client(["data"])["access_token"]


class AzureIdentity(Subject):
    module = "azure.identity"

    def new(self) -> Any:
        return import_module("azure.identity").ClientSecretCredential(
            "tenant",
            client_id(),
            SECRET,
            authority=_HTTPS,
            disable_instance_discovery=True,
            transport=self._transport(),
        )

    def _transport(self) -> Any:
        transport = import_module("azure.core.pipeline.transport").RequestsTransport()
        transport.send = partial(self._send, transport.send)  # what can be pickled
        return transport

    def _send(self, send: Callable[..., object], request: Any, **options: Any) -> object:
        return send(self._plain(request), **options)

    def _plain(self, request: Any) -> Any:
        request.url = request.url.replace(_HTTPS, self.base_url, 1).replace("https:", "http:", 1)
        return request

    def anew(self) -> Any:
        """Its credential shares nothing among tasks; the policy that azure-core puts before it does."""
        transport = import_module("azure.core.pipeline.transport").AioHttpTransport()
        send = transport.send
        transport.send = lambda request, **options: send(self._plain(request), **options)
        credential = import_module("azure.identity.aio").ClientSecretCredential(
            "tenant", client_id(), SECRET, authority=_HTTPS, transport=transport
        )
        policy = import_module("azure.core.pipeline.policies").AsyncBearerTokenCredentialPolicy(credential, "data")
        return credential, policy

    def getter(self, it: Any) -> Callable[[], object]:
        return lambda: it.get_token("data")

    def agetter(self, it: Any) -> Callable[[], Awaitable[object]]:
        pipeline = import_module("azure.core.pipeline")
        request = import_module("azure.core.rest").HttpRequest("GET", _HTTPS)
        _, policy = it
        return lambda: policy.on_request(pipeline.PipelineRequest(request, pipeline.PipelineContext(None)))

    def filed(self, folder: Path) -> Any:  # noqa: ARG002 -- it needs none
        raise OSError("It keeps tokens in the user's keyring, which is nothing to try things with.")

    def sender(self, it: Any, url: str | None = None) -> Callable[[], object]:
        library = import_module("azure.core.pipeline.policies")
        policies = [  # as its clients have them
            library.RedirectPolicy(),
            library.RetryPolicy(),
            library.BearerTokenCredentialPolicy(it, "data"),
            library.SensitiveHeaderCleanupPolicy(),
            library.HttpLoggingPolicy(),
        ]
        client = import_module("azure.core").PipelineClient(_HTTPS, transport=self._transport(), policies=policies)
        # It sends tokens by https only, so its transport turns that into the URL of this server.
        target = (url or self.api_url).replace(self.base_url, _HTTPS, 1).replace("http:", "https:", 1)
        request = import_module("azure.core.rest").HttpRequest
        return lambda: client.send_request(request("GET", target))

    async def aclose(self, it: Any) -> None:
        credential, _ = it
        await credential.close()


class GoogleAuth(Subject):
    """It knows no client credentials, so this is its refresh token, which is one request as well."""

    module = "google.oauth2.credentials"

    def new(self) -> Any:
        credentials = import_module(self.module).Credentials(
            None, refresh_token="r", token_uri=self.token_url, client_id=client_id(), client_secret=SECRET
        )
        credentials.with_non_blocking_refresh()
        return credentials

    def getter(self, it: Any) -> Callable[[], object]:
        transport = import_module("google.auth.transport.requests").Request()
        return lambda: it.before_request(transport, "GET", self.api_url, {})

    def sender(self, it: Any, url: str | None = None) -> Callable[[], object]:
        session = import_module("google.auth.transport.requests").AuthorizedSession(it)
        return lambda: session.get(url or self.api_url)

    def make_stale(self, it: Any) -> None:
        it.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=2)


class RequestsOAuth2Client(Subject):
    module = "requests_oauth2client"

    def new(self) -> Any:
        library = import_module(self.module)
        client = library.OAuth2Client(token_endpoint=self.token_url, auth=(client_id(), SECRET), testing=True)
        return library.OAuth2ClientCredentialsAuth(client, scope=SCOPES)

    def getter(self, it: Any) -> Callable[[], object]:
        request = import_module("requests").Request("GET", self.api_url).prepare()
        return lambda: it(request)

    def sender(self, it: Any, url: str | None = None) -> Callable[[], object]:
        session = import_module("requests").Session()
        session.auth = it
        return lambda: session.get(url or self.api_url)


class RequestsOAuthlib(Subject):
    module = "requests_oauthlib"

    def new(self) -> Any:
        os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
        client = import_module("oauthlib.oauth2").BackendApplicationClient(client_id=client_id(), scope=SCOPES.split())
        return import_module(self.module).OAuth2Session(client=client)

    def getter(self, it: Any) -> Callable[[], object]:
        def get() -> object:
            # It fetches a first token only when it is told to.
            if not it.token:
                it.fetch_token(self.token_url, client_id=it.client_id, client_secret=SECRET)
            return it._client.add_token(self.api_url, http_method="GET", body=None, headers={})

        return get

    def sender(self, it: Any, url: str | None = None) -> Callable[[], object]:
        return lambda: it.get(url or self.api_url)


class Pydomo(Subject):
    """Domo's own. Its constructor fetches a token, so it is called with the first."""

    module = "pydomo"
    sends_anywhere = False

    def new(self) -> Any:
        transport = import_module("pydomo.Transport").DomoAPITransport
        return transport.__new__(transport)

    def getter(self, it: Any) -> Callable[[], object]:
        host = urlsplit(self.base_url).netloc
        silent = logging.getLogger("bench")
        silent.disabled = True

        def get() -> object:
            if not hasattr(it, "access_token"):
                it.__init__(client_id(), SECRET, host, False, silent, None, SCOPES.split())  # noqa: FBT003
            elif it.token_expiration < time.time():
                it._renew_access_token()
            return it._headers_default_receive_json()

        return get

    def sender(self, it: Any, url: str | None = None) -> Callable[[], object]:
        path = urlsplit(url or self.api_url).path
        return lambda: it.get(path, {})


def first_of(flow: Any) -> None:
    """Take an auth flow of httpx to its first request."""
    next(flow)
    flow.close()


SUBJECTS: dict[str, type[Subject]] = {
    "domo-oauth": DomoOAuth,
    "httpx-auth": HttpxAuth,
    "authlib": Authlib,
    "botocore": Botocore,
    "openai": OpenAI,
    "msal": Msal,
    "azure-identity": AzureIdentity,
    "google-auth": GoogleAuth,
    "requests-oauth2client": RequestsOAuth2Client,
    "requests-oauthlib": RequestsOAuthlib,
    "pydomo": Pydomo,
}
