"""A token that is always valid: when to fetch, and what each caller gets.

Fresh: callers get the token from memory. Stale: they still get it, and one flight fetches the next. Spent, or none:
they wait for that flight.
"""

from __future__ import annotations

import copy
import logging
import threading
from contextlib import nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define, evolve

from . import timing
from .base_url import resolve_base_url
from .credentials import ClientCredentials, EnvironmentSource, HttpxArgs
from .errors import SHARED_REFUSALS, ConfigurationError, DomoOAuthError, InvalidClientError, require
from .flight import Flight, as_ours
from .scopes import scope_names
from .state import Held, Pause, State, forget_tokens, fork_lock, next_pause, shared_state
from .stores import store_from_env
from .timing import DEFAULT_TIMEOUT, Budget, Clock
from .token import Token

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType
    from typing import Self

    from .credentials import CredentialsSource
    from .scopes import Scopes
    from .stores import Store
    from .stores.sealing import Entry, SealedStore

__all__ = ["Clock", "Stats", "TokenProvider", "forget_tokens"]

logger = logging.getLogger(__name__)


@define
class Stats:
    """What a provider has done since it was made; for metrics."""

    requests: int = 0
    """Requests to the token endpoint, retries included."""
    refreshes: int = 0
    """Tokens fetched while the one before was still good."""
    stored: int = 0
    """Tokens loaded from the store, where another process had left them."""
    waits: int = 0
    """Callers that waited for a fetch."""
    failures: int = 0
    """Fetches that ended with an error: their own, or one that another process had left in the store."""
    store_failures: int = 0
    """Fetches that went on without the store, as it failed."""
    unauthorized: int = 0
    """Tokens that an API refused (401) while they were current."""
    fetch_seconds: float | None = None
    """Duration of the last successful token request, in seconds."""
    last_error: DomoOAuthError | None = None
    """The error of the last failure."""
    last_error_at: float | None = None
    """When it occurred, in seconds since 1970."""
    expires_in: float | None = None
    """Seconds until the current token expires; None if there is none."""


class TokenProvider:
    """Gives a valid token to every caller, on threads, asyncio and trio at once. The constructor does no I/O.

    Providers with the same base URL, credentials, scopes and store object, and without ``httpx_args`` and ``clock``,
    share one token within a process. A pickled provider carries the credentials or their source, and never a token.

    Args:
        credentials: The client id and secret, or a source: a function without arguments that returns the current ones.
            A source is called on a background thread before each fetch, and once more if Domo refuses what it returned;
            if it then returns different credentials, they are tried immediately. So a secret can be replaced while
            programs run.
        scopes: What the token is for; None for all scopes of the client.
        store: Where the token is shared with other processes: a ``FileStore``, a ``RedisStore``, or your own.
        base_url: Where Domo's API is; by default ``DOMO_API_URL``, else ``https://api.domo.com``.
        httpx_args: Arguments for the ``httpx.Client`` that fetches tokens; see ``request_token``.
        clock: Time, randomness, threads and waits, for tests.

    Raises:
        ConfigurationError: An argument is invalid.
    """

    def __init__(
        self,
        credentials: ClientCredentials | CredentialsSource,
        *,
        scopes: Scopes | None = None,
        store: Store | None = None,
        base_url: str | None = None,
        httpx_args: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
    ) -> None:
        try:
            if not callable(credentials):
                require("The first argument", credentials, ClientCredentials)
            self._credentials, self.base_url = credentials, resolve_base_url(base_url)
            self._scopes, self._httpx_args = scope_names(scopes), HttpxArgs.checked(httpx_args)
        finally:
            del credentials, base_url, httpx_args  # may hold secrets, and tracebacks can show locals
        self._store, self._clock = store, clock or Clock()
        self._given_store = store  # for the pickle
        self._monotonic, self._wall = self._clock.monotonic, self._clock.wall
        shared = clock is None and not self._httpx_args
        self._state = shared_state(self.base_url, self._credentials, self._scopes, store) if shared else State(store)
        self._stats = Stats()

    @classmethod
    def from_env(
        cls,
        prefix: str = "DOMO_",
        *,
        scopes: Scopes | None = None,
        store: Store | None = None,
        base_url: str | None = None,
        httpx_args: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """Make a provider with the credentials in ``DOMO_CLIENT_ID`` and ``DOMO_CLIENT_SECRET``.

        See `ClientCredentials.from_env` for the variables. They are read again before each fetch. Unless a store is
        given, ``DOMO_STORE`` names it: a folder, the URL of a Redis or Valkey server, or ``none`` (see
        ``domo_oauth.stores.open_store``). A pickled provider holds no credentials, and no store unless
        you passed one: it reads the environment again when it is unpickled.

        Raises:
            ConfigurationError: A variable is missing, or an argument is invalid.
        """
        try:
            provider = cls(
                EnvironmentSource(prefix, ClientCredentials.from_env(prefix)),
                scopes=scopes,
                store=store_from_env() if store is None else store,
                base_url=base_url,
                httpx_args=httpx_args,
                clock=clock,
            )
        finally:
            del base_url, httpx_args  # see __init__
        provider._given_store = store
        return provider

    def get_token(self, timeout: float | None = DEFAULT_TIMEOUT, min_lifetime: float | None = None) -> Token:
        """Return a valid token. Waits only if there is none yet, or if the current one is about to expire.

        Args:
            timeout: Seconds to wait at most; 0 to return a token only if there is one already, None for the default.
            min_lifetime: Seconds for which the token must be good. If Domo grants less, the new token is returned and a
                warning logged.

        Raises:
            DomoOAuthError: No token could be obtained. Until a pause is over (exponential backoff), callers get the
                same error without another request; a token that another process leaves in the store ends the pause.
            TransportError: There was none in time (a DomoOAuthError, too).
            ConfigurationError: An argument is invalid (a DomoOAuthError, too).
        """
        held = self._state.held
        if held and min_lifetime is None and self._monotonic() < held.stale_at and self._wall() < held.stale_at_wall:
            return held.token
        budget = Budget(timeout, self._monotonic)
        while isinstance(found := self._token_or_flight(min_lifetime, budget), Flight):
            if self._store is None:
                with suppress(ImportError):  # the fetch raises it again, for all callers
                    _import_request()  # here, as gevent's patches break some imports on other threads
            token = self._landed(found, found.wait(budget), min_lifetime, budget)
            if token is not None:
                return token
        return found

    async def aget_token(
        self,
        timeout: float | None = DEFAULT_TIMEOUT,  # noqa: ASYNC109 -- the same as in get_token
        min_lifetime: float | None = None,
    ) -> Token:
        """Return a valid token, under asyncio or trio. See :meth:`get_token`."""
        held = self._state.held
        if held and min_lifetime is None and self._monotonic() < held.stale_at and self._wall() < held.stale_at_wall:
            return held.token
        budget = Budget(timeout, self._monotonic)
        while isinstance(found := self._token_or_flight(min_lifetime, budget), Flight):
            token = self._landed(found, await found.arrive(budget), min_lifetime, budget)
            if token is not None:
                return token
        return found

    def invalidate(self, token: Token) -> None:
        """Drop this token, because an API refused it. Does nothing if it has been replaced.

        Providers that share the token drop it, too. If an API keeps refusing new tokens, something else is wrong: the
        current one is then kept for a pause (exponential backoff), so that refused calls do not turn into as many token
        requests.

        Raises:
            ConfigurationError: It is not a Token.
        """
        try:
            require("The argument of invalidate()", token, Token)
        except ConfigurationError:
            del token  # it may be the secret itself, and tracebacks can show locals
            raise
        held, before, now = self._state.held, self._state.rejected, self._monotonic()
        if held is None or held.rejected or held.token != token:
            return
        self._stats.unauthorized += 1
        if before is not None and now < before.until:
            if not held.kept:  # once, as a loop of refused calls could fill the log
                held.kept = True
                logger.warning("An API refused a token soon after another: kept for %.1f s", before.until - now)
            return
        if before is not None and now >= before.until + timing.REFUSALS_FORGOTTEN:
            before = None
        logger.info("An API refused the token (401): the next call gets another", extra={"event": "token_refused"})
        self._state.rejected = next_pause(before, token, now)
        held.rejected, held.stale_at = True, float("-inf")

    def reset(self) -> None:
        """Forget the token, and the error that callers get for a pause, for all providers that share them.

        The next call takes a token from the store, or requests one.
        """
        self._state.forget()

    def stats(self) -> Stats:
        """What this provider has done so far."""
        held = self._state.held
        left = None if held is None or held.rejected else held.left
        return evolve(self._stats, expires_in=left)

    def close(self) -> None:
        """Do nothing: connections are closed after each fetch. The provider can still be used."""

    async def aclose(self) -> None:
        """Do nothing, as :meth:`close`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        pass

    def __repr__(self) -> str:
        if not hasattr(self, "_scopes"):
            return "TokenProvider()"  # rejected by __init__; Python 3.11 cannot show locals without a repr
        scopes = "all" if self._scopes is None else " ".join(self._scopes)
        # The repr of another source can hold a secret, as that of functools.partial does.
        is_ours = isinstance(self._credentials, ClientCredentials | EnvironmentSource)
        who = repr(self._credentials) if is_ours else "a source"
        return f"TokenProvider({who}, scopes={scopes!r}, base_url={self.base_url!r})"

    def __reduce__(self) -> tuple[object, ...]:
        given = self._credentials
        if isinstance(given, EnvironmentSource):
            make = partial(TokenProvider.from_env, given.prefix)
        else:
            make = partial(TokenProvider, given)
        store, base_url, httpx_args = self._given_store, self.base_url, self._httpx_args
        return partial(make, scopes=self._scopes, store=store, base_url=base_url, httpx_args=httpx_args), ()

    def _token_or_flight(self, min_lifetime: float | None, budget: Budget) -> Token | Flight[Held]:
        if min_lifetime is not None:
            timing.checked_seconds("min_lifetime", min_lifetime)
        state, held, pause = self._state, self._state.held, self._pause()
        if held is not None and self._is_usable(held, min_lifetime, budget.began, paused=pause is not None):
            if pause is None and held.is_stale:
                self._join(None).start()
            return held.token
        if pause is not None:
            now = self._monotonic()
            if self._store is not None and now >= state.looked + timing.STORE_LOOK:
                state.looked = now
                self._join(min_lifetime).start()  # another process may have left a token in the store by now
            logger.debug("No request for another %.1f s: %s", pause.until - now, pause.cause)
            raise copy.copy(pause.cause)
        flight = self._join(min_lifetime)
        if flight.is_current:
            raise ConfigurationError(
                "A token was requested by code that runs inside its own fetch, such as a log handler, a transport or a "
                "store, and would wait for itself. Do not request one there."
            )
        self._stats.waits += 1
        return flight

    def _pause(self) -> Pause[DomoOAuthError] | None:
        failure = self._state.failure
        return failure if failure is not None and self._monotonic() < failure.until else None

    def _is_usable(self, held: Held, min_lifetime: float | None, began: float, *, paused: bool = False) -> bool:
        left, lifetime = held.left, held.token.expires_in
        if min_lifetime is None:
            return left > (0 if paused else lifetime - timing.spent_after(lifetime))
        if left >= min_lifetime and left > 0:
            return True
        if held.rejected or not held.fetched or held.sent < began:
            return False
        # It was fetched for this call, so Domo does not grant a longer one.
        logger.warning("Domo grants tokens for %d s, less than min_lifetime=%g", lifetime, min_lifetime)
        return True

    def _join(self, min_lifetime: float | None) -> Flight[Held]:
        """The flight of this generation, made if there is none."""
        state, generation = self._state, self._state.generation
        flight = self._flight(generation, min_lifetime)
        if self._monotonic() - flight.began > timing.FETCH_SECONDS and len(state.flights) == 1:
            # It may never end, for example if a DNS server does not answer. Start one more, and only one.
            state.generation = max(state.generation, generation + 1)  # += would count each caller who comes here
            flight = self._flight(generation + 1, min_lifetime)
        return flight

    def _flight(self, generation: int, min_lifetime: float | None) -> Flight[Held]:
        flights: dict[int, Flight[Held]] = self._state.flights
        return flights.get(generation) or flights.setdefault(  # atomic
            generation, Flight(lambda flight: self._work(flight, generation, min_lifetime), self._clock)
        )

    def _landed(
        self, flight: Flight[Held], outcome: Held | DomoOAuthError | None, min_lifetime: float | None, budget: Budget
    ) -> Token | None:
        """What a caller gets after waiting; None if it must look again."""
        if isinstance(outcome, Held):
            usable = min_lifetime is None or self._is_usable(outcome, min_lifetime, budget.began)
            return outcome.token if usable else None
        held = self._state.held
        if min_lifetime is None and held is not None and held.left > 0:
            return held.token
        return flight.result(outcome, budget).token

    def _work(self, flight: Flight[Held], generation: int, min_lifetime: float | None) -> Held | DomoOAuthError:
        """Get a token, and record it or the failure. Runs on the flight's thread."""
        state, before = self._state, self._state.failure
        try:
            got = self._get(flight, min_lifetime)
        except BaseException as error:  # noqa: BLE001 -- record a failure, or all waiters retry at once
            got = self._pause_after(error)
        if isinstance(got, Held):
            held, state.failure = state.held, None
            if held is None or held.left < got.left:
                state.held = got
        elif generation == state.generation:  # otherwise it was left behind, and says nothing about now
            state.failure = got
        state.anew, state.generation = False, max(state.generation, generation + 1)
        state.flights.pop(generation, None)
        if isinstance(got, Held):
            return got
        if got is not before:
            self._stats.failures += 1
            self._stats.last_error, self._stats.last_error_at = got.cause, self._wall()
        # An error that callers get is not printed as well where no logging is set up.
        if got is not before and (logger.hasHandlers() or (state.held and state.held.left > 0)):
            log = logger.warning if before is None else logger.debug
            pause, cause = got.until - self._monotonic(), got.cause
            known = {name: getattr(cause, name, None) for name in ("status", "toe")}
            fields = {"event": "token_failed", "error": type(cause).__name__, "pause": pause, **known}
            log("No token; no request for %.1f s: %s", pause, cause, extra=fields)
        return got.cause

    def _get(self, flight: Flight[Held], min_lifetime: float | None) -> Held | Pause[DomoOAuthError]:
        """Take a token from the store, or fetch one, with the current credentials."""
        held, pause = self._state.held, self._pause()
        if held is not None and not held.is_stale and held.left >= (min_lifetime or 0):
            return held  # the flight before landed while this one was made
        flight.note = "the credentials source has not returned"
        credentials = self._current_credentials()
        got = self._obtain(flight, credentials, pause, min_lifetime)
        if callable(self._credentials) and isinstance(got, Pause) and isinstance(got.cause, InvalidClientError):
            replaced = self._current_credentials()
            if replaced != credentials:
                logger.info("Domo refused the credentials, and their source returns others by now: trying those")
                got = self._obtain(flight, replaced, None, min_lifetime)
        return got

    def _current_credentials(self) -> ClientCredentials:
        """The current credentials. A source is third-party code: it may raise or return anything."""
        given = self._credentials
        if isinstance(given, ClientCredentials):
            return given
        try:
            current = given()
        except BaseException as error:  # noqa: BLE001 -- its text may hold a secret
            raise as_ours(error, "The credentials source") from None
        require("What the credentials source returns", current, ClientCredentials)
        return current

    def _obtain(
        self,
        flight: Flight[Held],
        credentials: ClientCredentials,
        pause: Pause[DomoOAuthError] | None,
        min_lifetime: float | None,
    ) -> Held | Pause[DomoOAuthError]:
        """Take a token from the store, or fetch one while no other process does."""
        if self._store is None:
            return pause or self._fetch(flight, credentials)
        flight.note = f"the store {self._store!r} has not responded"
        with fork_lock:
            from .stores.sealing import SealedStore

            sealed = SealedStore(self._store, credentials, self._scopes, self.base_url)
        known = self._from_entry(sealed.load(self._wall()), min_lifetime)
        if pause is not None and not isinstance(known, Held):
            known = pause
        flight.note = "another process holds the store's lock, or the store has not responded"
        tries = timing.LOCK_TRIES
        while known is None:
            tries -= 1
            with sealed.lock() as locked:
                entry = sealed.load(self._wall())
                known = self._from_entry(entry, min_lifetime)
                if known is None and (locked or tries == 0):
                    known = self._fetch(flight, credentials)
                    self._save(sealed, known, entry)
        self._stats.store_failures += sealed.broken
        return known

    def _save(self, sealed: SealedStore, got: Held | Pause[DomoOAuthError], before: Entry) -> None:
        """Leave a token for other processes, or a refusal that holds for them, too."""
        from .stores.sealing import Entry, Refusal

        now = self._wall()
        if isinstance(got, Held):
            sealed.save(Entry(got.token, now + got.left), now)
        elif isinstance(got.cause, SHARED_REFUSALS):
            refusal = Refusal(got.cause, got.seconds, now + got.until - self._monotonic())
            sealed.save(Entry(before.token, before.expires_at, refusal), now)

    def _from_entry(self, entry: Entry, min_lifetime: float | None) -> Held | Pause[DomoOAuthError] | None:
        """A token or a refusal that another process left in the store, if it is of use."""
        state, token = self._state, entry.token
        now, now_wall = self._monotonic(), self._wall()
        if token is not None and (state.rejected is None or state.rejected.cause != token):
            left, age, held = entry.expires_at - now_wall, token.expires_in - entry.expires_at + now_wall, state.held
            lasts = age < timing.spent_after(token.expires_in) and left >= (min_lifetime or 0)
            if lasts and (held is None or left > held.left + timing.WORTH_TAKING):
                fields = {"event": "token_loaded", "expires_in": left}
                logger.info("Took a token from the store, good for %d s", left, extra=fields)
                self._stats.stored += 1
                return Held(token, self._clock, now - age, now_wall - age, fetched=False)
        if entry.refusal is not None and not state.anew:
            logger.debug("No request sent: another process was just refused, and this one would be, too")
            left = min(entry.refusal.until - now_wall, timing.LONGEST_RETRY_AFTER)
            return Pause(entry.refusal.error, entry.refusal.pause, now + left)
        return None

    def _fetch(self, flight: Flight[Held], credentials: ClientCredentials) -> Held | Pause[DomoOAuthError]:
        """Request a token, with retries."""
        request = _import_request().Request(credentials, self._scopes, self.base_url, self._httpx_args)
        budget, clock, attempt = Budget(timing.FETCH_SECONDS, self._monotonic), self._clock, 0
        flight.note = f"GET {request.url} has had no response"
        while True:
            attempt += 1
            sent, sent_wall = self._monotonic(), self._wall()
            self._stats.requests += 1
            try:
                token = request.send(budget)
                break
            except DomoOAuthError as error:
                backoff = clock.random() * timing.FIRST_BACKOFF * 2 ** (attempt - 1)
                pause = max(backoff, getattr(error, "retry_after", None) or 0.0)
                if not error.retryable or attempt == timing.FETCH_ATTEMPTS or pause >= budget.spend():
                    return self._pause_after(error)
                fields = {"event": "token_retried", "attempt": attempt, "error": type(error).__name__, "pause": pause}
                logger.info("Trying again in %.1f s: %s", pause, error, extra=fields)
                flight.note = f"GET {request.url} has had no response; the attempt before failed: {error}"
            clock.sleep(budget.slice(pause))
        self._stats.fetch_seconds = self._monotonic() - sent
        fields = {"event": "token_fetched", "expires_in": token.expires_in, "seconds": self._stats.fetch_seconds}
        logger.info("Fetched a token for %d s in %.3f s", token.expires_in, self._stats.fetch_seconds, extra=fields)
        held = self._state.held
        self._stats.refreshes += held is not None and held.left > 0
        return Held(token, clock, sent, sent_wall, fetched=True)

    def _pause_after(self, error: BaseException) -> Pause[DomoOAuthError]:
        """An error and the pause after it: exponential backoff, so that no loop of callers can hammer the endpoint."""
        asked = min(getattr(error, "retry_after", None) or 0.0, timing.LONGEST_RETRY_AFTER)
        return next_pause(self._state.failure, as_ours(error), self._monotonic(), at_least=asked)


def _import_request() -> ModuleType:
    """Import what a fetch needs: httpx, which the command does not load if the store has a token."""
    on_main_thread = threading.current_thread() is threading.main_thread()
    with nullcontext() if on_main_thread else fork_lock:  # an interrupt of the main thread could leave it locked
        from . import request
    return request
