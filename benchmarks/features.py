"""The features: what domo-oauth and the others can do, each with what it is known by.

A mark comes from a figure that was measured, or from what a probe saw, and is never set by hand. Of ours there is a
test for each besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .environments import OURS
from .figures import FIGURES, PROCESSES
from .probes import PROBES
from .subjects import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FEATURES", "NAME", "Feature", "table"]

NAME = "features"
_UNIT, _INTEGRATION = "tests/unit/test_", "tests/integration/test_"
_FIGURES = {figure.key: figure for figure in FIGURES}
_PROBES = {probe.__name__ for probe in PROBES}
_NOT_TIMES = {"requests", "failed"}
_HALF_AN_ANSWER = 250.0  # ms; who waits less than that does not wait for the answer of the figure ``stale``
_SIGNS = {True: "✓", False: "✗", None: "–"}


class Feature(NamedTuple):
    """A row of the table."""

    key: str
    """Its figure or its probe."""
    what: str
    tests: tuple[str, ...]
    """Of ours: the ids that pytest gives them."""
    limits: Mapping[str, float] = {}
    """The most that a number of its figure may be, besides what the figure says of requests and failures."""

    @property
    def is_probed(self) -> bool:
        """Whether a probe tells, and not a figure."""
        return self.key in _PROBES

    def marks(self, results: dict[str, Any]) -> dict[str, bool | None]:
        """Who can do this, by name: None has no such thing; who is not there could not be tried."""
        if self.is_probed:
            seen = results[NAME]["rows"].get(self.key, {}).get("seen", {})
            return {name: found and found["mark"] for name, found in seen.items()}
        if self.key not in results["figures"]:
            return {}
        numbers, failed = results["figures"][self.key], results.get("failed", {})
        limits = {key: most for key, most in _FIGURES[self.key].limits.items() if key in _NOT_TIMES} | {**self.limits}
        return {
            name: all(numbers[name][key] <= most for key, most in limits.items()) if name in numbers else None
            for name in results["versions"]
            if name in numbers or self.key not in failed.get(name, ())
        }


FEATURES = (
    Feature("threads", "one request for 64 threads", (f"{_INTEGRATION}provider.py::test_64_threads",)),
    Feature("tasks", "one request for 1,000 asyncio tasks", (f"{_INTEGRATION}provider.py::test_1000_tasks",)),
    Feature("trio_tasks", "one request for 1,000 trio tasks", (f"{_INTEGRATION}provider.py::test_1000_tasks",)),
    Feature(
        "mixed",
        "one request for threads and event loops together",
        (f"{_INTEGRATION}provider.py::test_threads_and_loops_at_once",),
    ),
    Feature(
        PROCESSES,
        "one request for 8 processes",
        (f"{_INTEGRATION}fleet_of_processes.py::test_processes_that_start_at_once_make_one_request",),
    ),
    Feature(
        "stale",
        "a stale token is handed out while the next is fetched, and nobody waits",
        (f"{_UNIT}provider.py::test_stale_nobody_waits_and_one_thread_fetches",),
        {"longest": _HALF_AN_ANSWER},
    ),
    Feature(
        "short_lived",
        "a token that lives for a minute is used more than once",
        (f"{_UNIT}provider.py::test_fresh_then_stale_then_spent",),
    ),
    Feature(
        "refused",
        "64 threads share one refusal",
        (f"{_INTEGRATION}provider.py::test_64_callers_are_refused_after_one_request",),
    ),
    Feature(
        "wrong_credentials",
        "wrong credentials in a loop do not hammer the endpoint",
        (f"{_UNIT}provider.py::test_a_loop_against_wrong_credentials",),
    ),
    Feature(
        "busy",
        "a 503 is retried, once its `Retry-After` is over",
        (
            f"{_UNIT}provider.py::test_retry_after_is_waited_for_or_holds_for_all_who_ask",
            f"{_UNIT}provider.py::test_what_may_pass_is_tried_four_times_with_full_jitter",
        ),
    ),
    Feature(
        "renewal",
        "a 401 from the API renews the token, and the request is sent once more",
        (f"{_INTEGRATION}adapters.py::test_a_revoked_token_is_replaced",),
    ),
    Feature(
        "origin",
        "the token goes to no other origin, not even by a redirect",
        (
            f"{_INTEGRATION}adapters.py::test_a_request_to_another_origin_carries_no_token_and_is_logged_once",
            "tests/secrets/test_origins.py::test_a_redirect_to_another_server_carries_no_token",
        ),
    ),
    Feature(
        "moved",
        "the secret follows no redirect to another origin",
        (f"{_INTEGRATION}request.py::test_no_redirect_is_followed_even_if_asked_for",),
    ),
    Feature(
        "shown",
        "DEBUG logs and the repr show no secret and no token",
        (
            f"{_UNIT}provider.py::test_nothing_shows_a_secret",
            f"{_UNIT}token.py::test_its_repr_shows_everything_but_the_token",
            f"{_INTEGRATION}adapters.py::test_it_shows_no_secret",
        ),
    ),
    Feature(
        "sealed",
        "a token kept in a file is encrypted",
        (f"{_INTEGRATION}fleet_of_processes.py::test_nothing_shows_at_rest",),
    ),
    Feature(
        "pickled",
        "can be pickled, without the token",
        (f"{_UNIT}provider.py::test_a_pickle_carries_the_credentials_and_no_token",),
    ),
    Feature(
        "forked",
        "a child forked while a thread fetches gets a token",
        (f"{_INTEGRATION}provider.py::test_a_child_of_a_fork_in_mid_flight",),
    ),
)


def table(results: dict[str, Any], root: str = "") -> list[str]:
    """The lines of the table, and what its signs mean. Links begin with ``root``."""
    names = list(SUBJECTS)
    lines = [f"| what it can do | {' | '.join(names)} |", f"|---|{':-:|' * len(names)}"]
    for feature in FEATURES:
        if marks := feature.marks(results):
            cells = [_SIGNS[marks[name]] if name in marks else "?" for name in names]
            if marks.get(OURS):
                cells[names.index(OURS)] = f"[✓]({root}{feature.tests[0].partition('::')[0]})"
            lines.append(f"| {feature.what} | {' | '.join(cells)} |")
    note = (
        "✓ does it, ✗ does not, – has no such thing or leaves it to the caller, ? could not be tried here. Each mark "
        f"is what a figure above or a probe of {results[NAME]['date']} saw: "
        f"[results.json]({root}benchmarks/results.json) says what that was, and names the tests behind each ✓ of ours."
    )
    return [*lines, "", note]
