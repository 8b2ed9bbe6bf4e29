"""What ``make bench`` asks of this library, once."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks.bursts import BURSTS, refused, wrong_credentials
from benchmarks.certificates import certificates
from benchmarks.environments import OURS, variables
from benchmarks.library import start, stop
from benchmarks.probes import PROBES
from benchmarks.timings import TIMINGS

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """Have a measure or a probe taken, by the processes that take it as a rule."""
    folder = tmp_path_factory.mktemp("certificate")
    certificates(folder)
    server = start(sys.executable, "benchmarks.server", str(folder), env=variables(OURS))
    worker = start(sys.executable, "benchmarks.worker", OURS, server.stdout.readline().strip(), env=variables(OURS))

    def ask(measure):
        print(measure.__name__, file=worker.stdin, flush=True)
        answer = json.loads(worker.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["sample"]

    yield ask
    stop(worker)
    stop(server)


def named(measure):
    return measure.__name__


@pytest.mark.parametrize("timing", TIMINGS, ids=named)
def test_what_one_caller_waits_for_is_timed(timing, ask):
    sample = ask(timing)
    assert sample.keys() == {"floor", "value"}
    assert min(sample.values()) > 0.0


@pytest.mark.parametrize("burst", [each for each in BURSTS if each is not wrong_credentials], ids=named)
def test_many_callers_make_one_request(burst, ask):
    sample = ask(burst)
    assert sample["requests"] == 1
    assert bool(sample["failed"]) == (burst is refused)


@pytest.mark.parametrize("probe", PROBES, ids=named)
def test_it_does_all_that_is_looked_for(probe, ask):
    seen = ask(probe)
    assert seen["mark"], seen["seen"]
