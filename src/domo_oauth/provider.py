"""A token that is always valid: when to fetch, who fetches, who waits.

A token is fresh, then stale for the last part of its life, then spent shortly before it expires. Fresh, it is handed
out from memory. Stale, it is handed out all the same, while one thread in the background fetches the next. Spent, or
where there is none, callers wait for one fetch: a thread that asks does it itself, tasks leave it to a thread, so that
no event loop is held up and none that is cancelled or closed takes the fetch along.
"""

from __future__ import annotations

import copy
import threading
from _thread import start_new_thread
from typing import TYPE_CHECKING, Any, NamedTuple

from . import log
from .base_url import resolve_base_url
from .credentials import ClientCredentials
from .errors import ConfigurationError, DomoOAuthError, is_for_all, require
from .fetch import Clock, Fetcher
from .interrupts import Interrupt, let_through
from .scopes import scope_names
from .shared import Failure, Held, RefusedToken, Route, forget_tokens, share
from .single_flight import Flight

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from .scopes import Scopes
    from .shared import Outcome
    from .stores import Store
    from .stores.vault import Stored, Vault
    from .token import Token

__all__ = ["Clock", "Stats", "TokenProvider", "forget_tokens"]

# Seconds, and the shares of a token's lifetime that take their place where the lifetime is short.
_STALE, _STALE_SHARE = 300.0, 1 / 5
_SPENT, _SPENT_SHARE = 30.0, 1 / 10
_JITTER_SHARE = 1 / 4
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_LONGEST_RETRY_AFTER = 300.0
_FORGIVEN = 60.0
"""Seconds without a token that an API refused, after which the next one is believed at once."""
_THREAD = "domo-oauth"
_OWN_FETCH = (
    "A token was asked for by what runs inside of its own fetch, such as a log handler or a signal handler, which "
    "would wait for itself for ever. Do not ask there: leave it to a thread that nothing waits for, such as that of a "
    "logging.handlers.QueueListener."
)


class Stats(NamedTuple):
    """What a provider has done since it was made; for those who export metrics."""

    requests: int
    """Requests to the token endpoint, retries included."""
    refreshes: int
    """Tokens fetched while the one before was still good."""
    stored: int
    """Tokens that came from the store, where another process had left them."""
    waits: int
    """Callers that waited for a fetch of another."""
    failures: int
    """Fetches that ended with an error."""
    expires_in: float | None
    """Seconds until the token at hand expires; None where there is none."""


class TokenProvider:
    """Gives a valid token to everybody who asks, on threads, asyncio and trio at once. Making one costs no I/O.

    Providers for the same base URL, client and scopes share one token within a process, and the pause after an error
    that the endpoint answers. The pause after another error, such as a proxy's, is shared by those with equal
    ``httpx_args``. A provider can be pickled: the pickle carries the credentials and never a token.

    Args:
        credentials: Who asks.
        scopes: What the token is for; None for all scopes of the client.
        store: Where the token is shared with other processes: a ``FileStore``, a ``RedisStore``, or your own.
        base_url: Where Domo's API is; else ``DOMO_API_URL``, else ``https://api.domo.com``.
        httpx_args: Arguments for the ``httpx.Client`` that fetches tokens, as for ``request_token``.
        clock: Time and chance, for tests.

    Raises:
        ConfigurationError: An argument makes no sense, or what the store needs is not installed.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_credentials",
        "_failures",
        "_fetcher",
        "_from_env",
        "_monotonic",
        "_refreshes",
        "_route",
        "_scopes",
        "_shared",
        "_store",
        "_stored",
        "_vault",
        "_waits",
        "_wall",
        "base_url",
    )

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
        except ConfigurationError:
            del credentials, httpx_args  # it may be a secret, and a traceback with locals shows this frame
            raise
        self._credentials, self._scopes, self.base_url = credentials, None, ""  # for a repr in a traceback with locals
        try:
            self.base_url = resolve_base_url(base_url)
            self._scopes = scope_names(scopes)
            self._route = Route(_dictionary(httpx_args))
        finally:
            del httpx_args  # a proxy's password may be in it, and a traceback with locals shows this frame
        self._clock = clock or Clock()
        self._monotonic, self._wall = self._clock.monotonic, self._clock.wall
        self._shared = share((self.base_url, credentials, self._scopes, self._clock))
        self._store, self._vault = store, _vault(store, credentials, self._scopes, self.base_url)
        self._fetcher = Fetcher(credentials, self._scopes, self.base_url, self._route.httpx_args, self._clock)
        self._from_env = False
        self._refreshes = self._stored = self._waits = self._failures = 0

    @classmethod
    def from_env(
        cls,
        *,
        scopes: Scopes | None = None,
        store: Store | None = None,
        base_url: str | None = None,
        httpx_args: Mapping[str, Any] | None = None,
    ) -> Self:
        """Make a provider with the credentials of ``DOMO_CLIENT_ID`` and ``DOMO_CLIENT_SECRET``.

        Pickled, it says that they are in the environment, and holds none.

        Raises:
            ConfigurationError: A variable is missing, or an argument makes no sense.
        """
        try:
            credentials = ClientCredentials.from_env()
            provider = cls(credentials, scopes=scopes, store=store, base_url=base_url, httpx_args=httpx_args)
        finally:
            del httpx_args  # see __init__
        provider._from_env = True
        return provider

    def get_token(self) -> Token:
        """A valid token. Waits only where there is none at hand, or the one at hand is about to expire.

        Raises:
            DomoOAuthError: There is no token to be had; the same error for a pause, without another request. A token
                that another process leaves in the store meanwhile ends the pause.
        """
        held = self._shared.held
        if held is not None and self._monotonic() < held.stale_at and self._wall() < held.stale_at_wall:
            return held.token
        try:
            return self._get_token()
        except Interrupt as interrupt:
            limit = interrupt.error
        raise limit  # here, so that it has no context

    def _get_token(self) -> Token:
        """The token at hand or that of a fetch, which may be this thread's own."""
        while True:
            found, leads = self._join()
            if not isinstance(found, Flight):
                return found
            began = self._monotonic()
            if leads:
                found.run()
            outcome = found.wait()
            if not leads:
                log.debug("Waited %.3f s for the fetch of another", self._monotonic() - began)
            if outcome is not None:
                return _token_or_raise(outcome)

    async def aget_token(self) -> Token:
        """A valid token, under asyncio or trio. See :meth:`get_token`."""
        held = self._shared.held
        if held is not None and self._monotonic() < held.stale_at and self._wall() < held.stale_at_wall:
            return held.token
        try:
            return await self._aget_token()
        except Interrupt as interrupt:
            limit = interrupt.error
        raise limit  # here, so that it has no context

    async def _aget_token(self) -> Token:
        """The token at hand or that of a fetch on another thread."""
        while True:
            found, _ = self._join()
            if not isinstance(found, Flight):
                return found
            began = self._monotonic()
            if not found.is_tended:
                self._start(found)
            outcome = await found.arrive()
            log.debug("Waited %.3f s for a fetch", self._monotonic() - began)
            if outcome is not None:
                return _token_or_raise(outcome)

    def invalidate(self, token: Token) -> None:
        """Do not hand out this token any more: an API refused it. Nothing happens if there is another by now.

        Where an API refuses one token after the other, the fault is not theirs: within a pause that grows, the token
        stays, so that calls which are refused do not become as many requests for a token.
        """
        with self._shared.lock:
            held, before, now = self._shared.held, self._shared.refused_token, self._monotonic()
            if held is None or held.token.access_token != token.access_token:
                return
            if before is None or now >= before.until:
                grows = before is not None and now < before.until + _FORGIVEN
                pause = min(_LONGEST_PAUSE, before.pause * 2) if before is not None and grows else _FIRST_PAUSE
                self._shared.held, self._shared.refused_token = None, RefusedToken(token, pause, now + pause)
                return
        log.debug("A token was refused right after another; kept for %.1f s", before.until - now)

    def reset(self) -> None:
        """Forget the token, and the error that callers are given for a pause. What is in the store stays there.

        A token in the store is taken all the same; if there is none, the endpoint is asked.
        """
        self._shared.forget(anew=True)

    def stats(self) -> Stats:
        """What this provider has done so far."""
        held = self._shared.held
        left = None if held is None else held.token.expires_in - held.age(self._monotonic(), self._wall())
        return Stats(self._fetcher.requests, self._refreshes, self._stored, self._waits, self._failures, left)

    def close(self) -> None:
        """Close the connections. The token stays, and the next fetch opens another."""
        self._fetcher.close()

    async def aclose(self) -> None:
        """Close the connections, as :meth:`close` does."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        if not hasattr(self, "_credentials"):
            return "TokenProvider()"  # refused, and in a traceback with locals
        scopes = "all" if self._scopes is None else " ".join(self._scopes)
        return f"TokenProvider({self._credentials!r}, scopes={scopes!r}, base_url={self.base_url!r})"

    def __reduce__(self) -> tuple[object, ...]:
        httpx_args = self._route.httpx_args
        if any(type(value).__name__ == "SSLContext" for value in httpx_args.values()):
            raise ConfigurationError(
                "A provider with an ssl.SSLContext among its httpx_args cannot be pickled, as that cannot: set "
                "SSL_CERT_FILE instead, or make the provider in each process."
            )
        credentials = None if self._from_env else self._credentials
        return _unpickled, (credentials, self._scopes, self._store, self.base_url, httpx_args)

    def _join(self) -> tuple[Token | Flight[Outcome], bool]:
        """A token to hand out, or a flight to wait for and whether the caller has to see to it."""
        with self._shared.lock:
            found, flight = self._look()
        if flight is not None and flight is not found:
            self._start(flight)
        # Nothing is logged while a lock is held, here and elsewhere: a log handler may ask for a token itself.
        if isinstance(found, Failure):
            log.debug("Refused without a request, for %.1f s yet: %s", found.until - self._monotonic(), found.error)
            raise _twin(found.error)
        return found, flight is found

    def _look(self) -> tuple[Token | Flight[Outcome] | Failure, Flight[Outcome] | None]:
        """What there is for a caller, and the flight that it has to see to. To be called with the lock held."""
        shared = self._shared
        held, failure, now, now_wall = shared.held, shared.failure(self._route), self._monotonic(), self._wall()
        if failure is not None and now >= failure.until:
            failure = None
        if shared.flight is not None and shared.flight.landed:
            shared.flight = None  # an interrupt came before the one who flew it could say so
        if held is not None and held.age(now, now_wall) < (held.token.expires_in if failure else held.spent_age):
            stale = now >= held.stale_at or now_wall >= held.stale_at_wall
            if not stale or shared.flight is not None or failure is not None:
                return held.token, None
            shared.flight = Flight(self._fetch_and_keep)
            self._refreshes += 1
            return held.token, shared.flight
        if failure is not None:
            if self._vault is None or shared.flight is not None or now < shared.looked + _FIRST_PAUSE:
                return failure, None
            # Another process may have left a token in the store by now: to look there costs the endpoint nothing.
            shared.looked, shared.flight = now, Flight(self._fetch_and_keep)
            return failure, shared.flight
        if shared.flight is not None:
            if shared.flight.is_flown_here:
                raise ConfigurationError(_OWN_FETCH)
            self._waits += 1
            return shared.flight, None
        shared.flight = Flight(self._fetch_and_keep)
        return shared.flight, shared.flight

    def _start(self, flight: Flight[Outcome]) -> None:
        """See to a flight in the background."""
        try:
            # Thread.start() waits for the new thread's first turn, which is long in coming where many are at work.
            start_new_thread(self._start_thread, (flight,))
        except RuntimeError:  # none can be started, as when Python ends
            flight.run()
        else:
            flight.is_tended = True

    def _start_thread(self, flight: Flight[Outcome]) -> None:
        """See to a flight on a thread with a name, which does not keep the process from ending."""
        thread = threading.Thread(target=flight.tend, name=_THREAD, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            flight.tend()

    def _fetch_and_keep(self) -> Outcome:
        """Fetch a token, and keep it, or why there is none, for those who ask from now on."""
        shared = self._shared
        before = shared.failure(self._route)
        try:
            fetched = self._fetch()
        except Exception as error:  # noqa: BLE001 -- or all who ask would try again at once
            let_through(error)
            fetched = self._failed(error.with_traceback(None))
        except BaseException as error:
            thread = threading.current_thread()
            if thread.name != _THREAD or thread is threading.main_thread():
                with shared.lock:
                    shared.flight = None  # whoever waits takes over
                raise
            # It is nobody's interrupt, and if it were nobody's error, too, all who wait would ask again at once.
            fetched = self._failed(DomoOAuthError(f"No token: {type(error).__name__} ended the thread that asked."))
        with shared.lock:
            shared.flight = None
            if isinstance(fetched, Held):
                shared.held, shared.failures = fetched, []
                return fetched.token
            if fetched is before:
                return fetched.error  # nobody has asked again
            shared.fail(fetched)
            held = shared.held
            usable = held is not None and held.age(self._monotonic(), self._wall()) < held.token.expires_in
        tell = log.warning if before is None else log.debug
        tell("No token; nobody asks again for %.1f s: %s", fetched.until - fetched.since, fetched.error)
        return held.token if held is not None and usable else fetched.error

    def _fetch(self) -> Held | Failure:
        """Take what another process left in the store, or ask as the only one of all that share it."""
        if self._vault is None:
            return self._ask()
        failure = self._shared.failure(self._route)
        if failure is not None and self._monotonic() < failure.until:
            try:
                stored = self._vault.load()
            except Exception as fault:  # noqa: BLE001 -- a store may raise anything, and has been complained of
                let_through(fault)
                return failure
            return self._take(stored) if stored is not None and self._is_wanted(stored) else failure
        anew, self._shared.anew = self._shared.anew, False
        with self._vault.turn(self._is_wanted, anew=anew) as turn:
            if turn.found is not None:
                return self._take(turn.found)
            if turn.refusal is not None:
                error, pause, left = turn.refusal
                log.info("Not asked: another process was given an error that holds for this one, too")
                return Failure(error, pause, self._monotonic(), self._monotonic() + left, None)
            fetched = self._ask()
            if isinstance(fetched, Held):
                turn.save(fetched.token, fetched.age(self._monotonic(), self._wall()))
            else:
                turn.refuse(fetched.error, fetched.pause, fetched.until - fetched.since)
            return fetched

    def _take(self, stored: Stored) -> Held:
        """Take a token that another process has left in the store."""
        age = stored.token.expires_in - stored.left
        self._stored += 1
        log.info("Took a token from the store, good for %d s", stored.left)
        return self._hold(stored.token, self._monotonic() - age, self._wall() - age)

    def _is_wanted(self, stored: Stored) -> bool:
        """Whether a token from the store is better than the one at hand."""
        held, refused = self._shared.held, self._shared.refused_token
        if stored.left <= _spent_window(stored.token):
            return False
        if refused is not None and refused.token.access_token == stored.token.access_token:
            return False
        if held is None:
            return True
        newer = stored.left > held.token.expires_in - held.age(self._monotonic(), self._wall())
        return newer and stored.token.access_token != held.token.access_token

    def _ask(self) -> Held | Failure:
        """Ask the endpoint."""
        fetched = self._fetcher.fetch()
        if isinstance(fetched, Exception):
            return self._failed(fetched)
        log.info("Fetched a token for %d s in %.3f s", fetched.token.expires_in, self._monotonic() - fetched.sent)
        return self._hold(*fetched)

    def _hold(self, token: Token, sent: float, sent_wall: float) -> Held:
        """Reckon how long the token is good, from before it was asked for."""
        lifetime = float(token.expires_in)
        window = min(_STALE, lifetime * _STALE_SHARE)
        stale = lifetime - window + window * _JITTER_SHARE * self._clock.random()
        return Held(token, sent, sent_wall, stale, lifetime - _spent_window(token))

    def _failed(self, error: Exception) -> Failure:
        """An error, and a pause that grows, so that no loop of callers can hammer the endpoint."""
        self._failures += 1
        before, now = self._shared.failure(self._route), self._monotonic()
        pause = _FIRST_PAUSE if before is None else min(_LONGEST_PAUSE, before.pause * 2)
        asked = min(getattr(error, "retry_after", None) or 0.0, _LONGEST_RETRY_AFTER)
        return Failure(error, pause, now, now + max(pause, asked), None if is_for_all(error) else self._route)


def _dictionary(httpx_args: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        return dict(httpx_args or {})
    except (TypeError, ValueError):
        del httpx_args  # a traceback with locals shows this frame
        raise ConfigurationError("httpx_args must be a dictionary of arguments for httpx.Client.") from None


def _spent_window(token: Token) -> float:
    """The last seconds of a token's life, in which it is not handed out if another can be had."""
    return min(_SPENT, token.expires_in * _SPENT_SHARE)


def _token_or_raise(outcome: Outcome) -> Token:
    if isinstance(outcome, Exception):
        raise _twin(outcome)
    return outcome


def _twin(error: Exception) -> Exception:
    """A copy, as an exception that several callers raise at once collects the frames of all."""
    try:
        return copy.copy(error)
    except Exception:  # noqa: BLE001 -- one that is not ours may not be made to be copied
        error.__context__ = None
        return error.with_traceback(None)


def _vault(
    store: Store | None, credentials: ClientCredentials, scopes: tuple[str, ...] | None, base_url: str
) -> Vault | None:
    if store is None:
        return None
    from .stores.vault import Vault

    return Vault(store, credentials, scopes, base_url)


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
        del httpx_args  # see TokenProvider.__init__
