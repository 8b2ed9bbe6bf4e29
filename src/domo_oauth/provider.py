"""A token that is always valid: when to fetch, and what each caller gets.

A token is fresh, then stale for the last part of its life, then spent shortly before it expires. While it is fresh,
callers get it from memory. While it is stale, they still get it, and one flight fetches the next. When it is spent, or
there is none, they wait for that flight.
"""

from __future__ import annotations

import copy
import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from . import timing
from .base_url import resolve_base_url
from .credentials import ClientCredentials, HttpxArgs
from .errors import SHARED_REFUSALS, ConfigurationError, DomoOAuthError, require
from .flight import Flight, as_ours
from .scopes import scope_names
from .state import Held, Pause, State, forget_tokens, import_lock, shared_state
from .stores import store_from_env
from .timing import DEFAULT_TIMEOUT, Budget, Clock
from .token import Token

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType
    from typing import Self

    from .scopes import Scopes
    from .stores import Store
    from .stores.sealing import Entry, SealedStore

__all__ = ["Clock", "Stats", "TokenProvider", "forget_tokens"]

logger = logging.getLogger(__name__)

_OWN_FETCH = (
    "A token was requested by code that runs inside its own fetch, such as a log handler, a transport or a store, and "
    "would wait for itself. Do not request one there."
)


class Stats(NamedTuple):
    """What a provider has done since it was made; for metrics."""

    requests: int
    """Requests to the token endpoint, retries included."""
    refreshes: int
    """Tokens fetched while the one before was still good."""
    stored: int
    """Tokens taken from the store, where another process had left them."""
    waits: int
    """Callers that waited for a fetch."""
    failures: int
    """Fetches that ended with an error."""
    expires_in: float | None
    """Seconds until the token at hand expires; None if there is none."""


class TokenProvider:
    """Gives a valid token to everybody who asks, on threads, asyncio and trio at once. Making one costs no I/O.

    Providers with the same base URL, credentials, scopes and store object, and without ``httpx_args`` and ``clock``,
    share one token within a process. A provider can be pickled: the pickle carries the credentials and never a token.

    Args:
        credentials: Who asks.
        scopes: What the token is for; None for all scopes of the client.
        store: Where the token is shared with other processes: a ``FileStore``, a ``RedisStore``, or your own.
        base_url: Where Domo's API is; by default ``DOMO_API_URL``, else ``https://api.domo.com``.
        httpx_args: Arguments for the ``httpx.Client`` that fetches tokens; see ``request_token``.
        clock: Time, chance, threads and waits, for tests.

    Raises:
        ConfigurationError: An argument makes no sense, or what the store needs is not installed.
    """

    def __init__(
        self,
        credentials: ClientCredentials,
        *,
        scopes: Scopes | None = None,
        store: Store | None = None,
        base_url: str | None = None,
        httpx_args: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
    ) -> None:
        try:
            require("The first argument", credentials, ClientCredentials)
            self._credentials, self.base_url = credentials, resolve_base_url(base_url)
            self._scopes, self._httpx_args = scope_names(scopes), HttpxArgs.checked(httpx_args)
        finally:
            del credentials, httpx_args  # secrets may be in them, and a traceback that shows locals shows this frame
        self._store, self._clock, self._from_env = store, clock or Clock(), False
        self._given_store = store  # for the pickle
        self._monotonic, self._wall = self._clock.monotonic, self._clock.wall
        shared = clock is None and not self._httpx_args
        self._state = shared_state(self.base_url, self._credentials, self._scopes, store) if shared else State(store)
        self._requests = self._refreshes = self._stored = self._waits = self._failures = 0

    @classmethod
    def from_env(
        cls,
        *,
        scopes: Scopes | None = None,
        store: Store | None = None,
        base_url: str | None = None,
        httpx_args: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """Make a provider with the credentials of ``DOMO_CLIENT_ID`` and ``DOMO_CLIENT_SECRET``.

        Unless a store is given, ``DOMO_STORE`` names it: a folder, the URL of a Redis or Valkey server, or ``none``
        (see ``domo_oauth.stores.open_store``). The pickle of the provider holds neither; it reads them again.

        Raises:
            ConfigurationError: A variable is missing, or an argument makes no sense.
        """
        try:
            provider = cls(
                ClientCredentials.from_env(),
                scopes=scopes,
                store=store_from_env() if store is None else store,
                base_url=base_url,
                httpx_args=httpx_args,
                clock=clock,
            )
        finally:
            del httpx_args  # see __init__
        provider._from_env, provider._given_store = True, store
        return provider

    def get_token(self, timeout: float | None = DEFAULT_TIMEOUT, min_lifetime: float | None = None) -> Token:
        """A valid token. Waits only if there is none at hand, or the one at hand is about to expire.

        Args:
            timeout: Seconds to wait at most; 0 for what is at hand, None for the default.
            min_lifetime: Seconds for which the token must be good. If Domo grants a shorter one, that is returned and a
                warning logged.

        Raises:
            DomoOAuthError: There is no token to be had. Callers get the same error for a growing pause, without another
                request; a token that another process leaves in the store ends the pause.
            TransportError: There was none in time (a DomoOAuthError, too).
        """
        held = self._state.held
        if held and min_lifetime is None and self._monotonic() < held.stale_at and self._wall() < held.stale_at_wall:
            return held.token
        budget, began = self._budget(timeout, min_lifetime)
        while isinstance(found := self._token_or_flight(min_lifetime, began), Flight):
            if self._store is None:
                with suppress(ImportError):  # as the fetch tells all who ask
                    _import_request()  # here, as gevent's patches break some imports on other threads
            token = self._landed(found, found.wait(budget), timeout, min_lifetime, began)
            if token is not None:
                return token
        return found

    async def aget_token(
        self,
        timeout: float | None = DEFAULT_TIMEOUT,  # noqa: ASYNC109 -- the same as in get_token
        min_lifetime: float | None = None,
    ) -> Token:
        """A valid token, under asyncio or trio. See :meth:`get_token`."""
        held = self._state.held
        if held and min_lifetime is None and self._monotonic() < held.stale_at and self._wall() < held.stale_at_wall:
            return held.token
        budget, began = self._budget(timeout, min_lifetime)
        while isinstance(found := self._token_or_flight(min_lifetime, began), Flight):
            token = self._landed(found, await found.arrive(budget), timeout, min_lifetime, began)
            if token is not None:
                return token
        return found

    def invalidate(self, token: Token) -> None:
        """Do not hand out this token any more, as an API refused it. Nothing happens if there is another by now.

        An API that refuses one token after the other has another problem: for a growing pause the token stays, so that
        refused calls do not become as many token requests.

        Raises:
            ConfigurationError: It is not a Token.
        """
        try:
            require("The argument of invalidate()", token, Token)
        except ConfigurationError:
            del token  # it may be the secret itself, and a traceback that shows locals shows this frame
            raise
        held, before, now = self._state.held, self._state.rejected, self._monotonic()
        if held is None or held.rejected or held.token != token:
            return
        if before is not None and now < before.until:
            logger.debug("A token was refused soon after another; kept for %.1f s", before.until - now)
            return
        again = before is not None and now < before.until + timing.REFUSALS_FORGOTTEN
        pause = before.next if before is not None and again else timing.FIRST_PAUSE
        self._state.rejected = Pause(token, pause, now + pause)
        held.reject()

    def reset(self) -> None:
        """Forget the token, and the error that callers get for a pause. What is in the store stays there.

        The next call takes a token from the store, or requests one.
        """
        self._state.forget(anew=True)

    def stats(self) -> Stats:
        """What this provider has done so far."""
        held = self._state.held
        left = None if held is None or held.rejected else held.left(self._clock)
        return Stats(self._requests, self._refreshes, self._stored, self._waits, self._failures, left)

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
            return "TokenProvider()"  # refused by __init__
        scopes = "all" if self._scopes is None else " ".join(self._scopes)
        return f"TokenProvider({self._credentials!r}, scopes={scopes!r}, base_url={self.base_url!r})"

    def __reduce__(self) -> tuple[object, ...]:
        if any(type(value).__name__ == "SSLContext" for value in self._httpx_args.values()):
            raise ConfigurationError(
                "A provider with an ssl.SSLContext in its httpx_args cannot be pickled: set SSL_CERT_FILE instead, or "
                "make the provider in each process."
            )
        credentials = None if self._from_env else self._credentials
        return _unpickled, (credentials, self._scopes, self._given_store, self.base_url, self._httpx_args)

    def _budget(self, timeout: float | None, min_lifetime: float | None) -> tuple[Budget, float]:
        if min_lifetime is not None:
            timing.seconds("min_lifetime", min_lifetime)
        return Budget(timing.seconds("timeout", timeout), self._monotonic), self._monotonic()

    def _token_or_flight(self, min_lifetime: float | None, began: float) -> Token | Flight[Held]:
        """The token at hand, or the flight to wait for."""
        state, held, pause = self._state, self._state.held, self._pause()
        if held is not None and self._is_usable(held, min_lifetime, paused=pause is not None, began=began):
            if pause is None and held.is_stale(self._clock):
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
            raise ConfigurationError(_OWN_FETCH)
        self._waits += 1
        return flight

    def _pause(self) -> Pause[DomoOAuthError] | None:
        """The last error, if its pause is not over."""
        failure = self._state.failure
        return failure if failure is not None and self._monotonic() < failure.until else None

    def _is_usable(self, held: Held, min_lifetime: float | None, *, paused: bool, began: float) -> bool:
        left, lifetime = held.left(self._clock), float(held.token.expires_in)
        if min_lifetime is None:
            return left > (0 if paused else lifetime - timing.spent_after(lifetime))
        if left >= min_lifetime and left > 0:
            return True
        if not held.fetched or held.sent < began or held.rejected:
            return False
        # It was fetched for this call, so Domo grants no longer one.
        logger.warning("Domo grants tokens for %d s, less than min_lifetime=%g", lifetime, min_lifetime)
        return True

    def _join(self, min_lifetime: float | None) -> Flight[Held]:
        """The flight of this generation, made if there is none."""
        state, generation = self._state, self._state.generation
        flight = self._flight(generation, min_lifetime)
        if self._monotonic() - flight.began > timing.FETCH_SECONDS and len(state.flights) == 1:
            # It may never end, as when a name server does not answer. One other may be under way, and no more.
            state.generation = max(state.generation, generation + 1)  # += would count each caller who comes here
            flight = self._flight(generation + 1, min_lifetime)
        return flight

    def _flight(self, generation: int, min_lifetime: float | None) -> Flight[Held]:
        flights: dict[int, Flight[Held]] = self._state.flights
        return flights.get(generation) or flights.setdefault(  # atomic
            generation, Flight(lambda flight: self._work(flight, generation, min_lifetime), self._clock)
        )

    def _landed(
        self,
        flight: Flight[Held],
        outcome: Held | DomoOAuthError | None,
        timeout: float | None,
        min_lifetime: float | None,
        began: float,
    ) -> Token | None:
        """What a caller gets who has waited for a flight; None if it has to look again."""
        if isinstance(outcome, Held):  # judge what it brought, as the token at hand may last longer
            usable = min_lifetime is None or self._is_usable(outcome, min_lifetime, paused=False, began=began)
            return outcome.token if usable else None
        held = self._state.held
        if min_lifetime is None and held is not None and held.left(self._clock) > 0:
            return held.token
        return flight.result(outcome, timeout).token

    def _work(self, flight: Flight[Held], generation: int, min_lifetime: float | None) -> Held | DomoOAuthError:
        """Get a token, and keep it, or why there is none, for all who ask from now on. Runs on the flight's thread."""
        state, before = self._state, self._state.failure
        try:
            got = self._get(flight, min_lifetime)
        except BaseException as error:  # noqa: BLE001 -- or all who wait would try again at once
            got = self._pause_after(error)
        if isinstance(got, Held):
            held, state.failure = state.held, None
            if held is None or held.left(self._clock) < got.left(self._clock):
                state.held = got
        elif generation == state.generation:  # otherwise it was left behind, and says nothing about now
            state.failure = got
        state.generation = max(state.generation, generation + 1)
        state.flights.pop(generation, None)
        if isinstance(got, Held):
            return got
        if got is not before:
            log = logger.warning if before is None else logger.debug
            log("No token; nobody asks again for %.1f s: %s", got.until - self._monotonic(), got.cause)
        return got.cause

    def _get(self, flight: Flight[Held], min_lifetime: float | None) -> Held | Pause[DomoOAuthError]:
        """Take the token at hand or in the store, or fetch one as the only process that does."""
        state, held, pause = self._state, self._state.held, self._pause()
        if held is not None and not held.is_stale(self._clock) and held.left(self._clock) >= (min_lifetime or 0):
            return held  # the flight before landed while this one was made
        if self._store is None:
            return pause or self._fetch(flight)
        flight.note = f"the store {self._store!r} has not answered"
        with import_lock():
            from .stores.sealing import SealedStore

            sealed = SealedStore(self._store, self._credentials, self._scopes, self.base_url)
        anew, state.anew = state.anew, False
        known = self._from_entry(sealed.load(self._wall()), min_lifetime, anew=anew)
        if pause is not None and not isinstance(known, Held):
            return pause
        flight.note = "another process holds the lock of the store, or it has not answered"
        tries = timing.LOCK_TRIES
        while known is None:
            tries -= 1
            with sealed.lock() as locked:
                entry = sealed.load(self._wall())
                known = self._from_entry(entry, min_lifetime, anew=anew)
                if known is None and (locked or tries == 0):
                    known = self._fetch(flight)
                    self._save(sealed, known, entry)
        return known

    def _save(self, sealed: SealedStore, got: Held | Pause[DomoOAuthError], before: Entry) -> None:
        """Leave to other processes what came of a fetch: a token, or a refusal that holds for them, too."""
        from .stores.sealing import Entry, Refusal

        now = self._wall()
        if isinstance(got, Held):
            sealed.save(Entry(got.token, now + got.left(self._clock)), now)
        elif isinstance(got.cause, SHARED_REFUSALS):
            refusal = Refusal(got.cause, got.seconds, now + got.until - self._monotonic())
            sealed.save(Entry(before.token, before.expires_at, refusal), now)

    def _from_entry(
        self, entry: Entry, min_lifetime: float | None, *, anew: bool
    ) -> Held | Pause[DomoOAuthError] | None:
        """What another process has left in the store, if it is worth taking: a token, or a refusal."""
        state, token = self._state, entry.token
        now, now_wall = self._monotonic(), self._wall()
        if token is not None:
            left, rejected, held = entry.expires_at - now_wall, state.rejected, state.held
            wanted = left > token.expires_in - timing.spent_after(token.expires_in) and left >= (min_lifetime or 0)
            wanted = wanted and (rejected is None or rejected.cause != token)
            if wanted and (held is None or left > held.left(self._clock) + timing.WORTH_TAKING):
                logger.info("Took a token from the store, good for %d s", left)
                self._stored += 1
                age = token.expires_in - left
                return self._to_held(token, now - age, now_wall - age, fetched=False)
        if entry.refusal is not None and not anew:
            logger.info("No request: another process was refused, which holds for this one, too")
            left = min(entry.refusal.until - now_wall, timing.LONGEST_RETRY_AFTER)
            return Pause(entry.refusal.error, entry.refusal.pause, now + left)
        return None

    def _fetch(self, flight: Flight[Held]) -> Held | Pause[DomoOAuthError]:
        """Request a token from the endpoint."""
        request = _import_request().Request(self._credentials, self._scopes, self.base_url, self._httpx_args)
        sent = sent_wall = 0.0

        def on_attempt(failure: DomoOAuthError | None) -> None:
            nonlocal sent, sent_wall
            sent, sent_wall = self._monotonic(), self._wall()
            self._requests += 1
            flight.note = f"{request.name} has not been answered"
            if failure is not None:
                flight.note += f"; the attempt before failed: {failure}"
                logger.info("Trying again, as an attempt failed: %s", failure)

        try:
            token = request.fetch(self._clock, on_attempt)
        except DomoOAuthError as error:
            return self._pause_after(error)
        logger.info("Fetched a token for %d s in %.3f s", token.expires_in, self._monotonic() - sent)
        held = self._state.held
        self._refreshes += held is not None and held.left(self._clock) > 0
        return self._to_held(token, sent, sent_wall, fetched=True)

    def _to_held(self, token: Token, sent: float, sent_wall: float, *, fetched: bool) -> Held:
        stale = timing.stale_after(token.expires_in, self._clock.random())
        return Held(token, sent, sent_wall, sent + stale, sent_wall + stale, fetched)

    def _pause_after(self, error: BaseException) -> Pause[DomoOAuthError]:
        """An error and its pause, which grows, so that no loop of callers can hammer the endpoint."""
        self._failures += 1
        before = self._state.failure
        pause = timing.FIRST_PAUSE if before is None else before.next
        asked = min(getattr(error, "retry_after", None) or 0.0, timing.LONGEST_RETRY_AFTER)
        return Pause(as_ours(error), pause, self._monotonic() + max(pause, asked))


def _import_request() -> ModuleType:
    """Import what a fetch needs, which loads httpx: the command does without, if the store has a token."""
    if threading.current_thread() is threading.main_thread():
        from . import request  # without the lock, as an interrupt could leave it locked

        return request
    with import_lock():
        from . import request
    return request


def _unpickled(
    credentials: ClientCredentials | None,
    scopes: Scopes | None,
    store: Store | None,
    base_url: str,
    httpx_args: Mapping[str, Any],
) -> TokenProvider:
    try:
        if credentials is None:
            return TokenProvider.from_env(scopes=scopes, store=store, base_url=base_url, httpx_args=httpx_args)
        return TokenProvider(credentials, scopes=scopes, store=store, base_url=base_url, httpx_args=httpx_args)
    finally:
        del credentials, httpx_args  # see TokenProvider.__init__
