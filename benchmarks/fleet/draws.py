"""Chance that can be repeated: the n-th number of a worker is a function of the seed, the worker and n (SplitMix64).

The same numbers come one at a time, for the real code, and by the hundred thousand, for the shortcut: only so can both
be compared to the last request.
"""

from __future__ import annotations

from math import log1p
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Counts", "Floats", "Keys", "arrivals", "chance_key", "exponential", "exponentials", "key", "keys"]
__all__ += ["number", "numbers"]

Floats: TypeAlias = "NDArray[np.float64]"
Keys: TypeAlias = "NDArray[np.uint64]"
Counts: TypeAlias = "NDArray[np.uint64]"

_MASK = 2**64 - 1
_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def _mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * _FIRST) & _MASK
    value = ((value ^ (value >> 27)) * _SECOND) & _MASK
    return value ^ (value >> 31)


def key(seed: int, worker: int) -> int:
    """What a worker's numbers come from."""
    return _mix((_mix(seed + 1) + worker * _STEP) & _MASK)


def chance_key(seed: int, worker: int) -> int:
    """What the numbers of a worker's providers come from."""
    return key(seed, worker + 2**32)


def keys(seed: int, workers: int) -> Keys:
    """The keys of all workers."""
    return np.array([key(seed, worker) for worker in range(workers)], np.uint64)


def arrivals(seed: int, hosts: int, within: float) -> list[float]:
    """When hosts are started."""
    return [within * number(key(seed, -1 - host), 0) for host in range(hosts)]


def number(of: int, drawn: int) -> float:
    """A number from 0 to 1, without 1."""
    return (_mix((of + (drawn + 1) * _STEP) & _MASK) >> 11) * 2.0**-53


def numbers(of: Keys, drawn: Counts) -> Floats:
    """What :func:`number` gives, for many."""
    value = of + (drawn + np.uint64(1)) * np.uint64(_STEP)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(_FIRST)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(_SECOND)
    value ^= value >> np.uint64(31)
    found: Floats = np.multiply(value >> np.uint64(11), 2.0**-53, dtype=np.float64)
    return found


def exponential(value: float, mean: float) -> float:
    """The time until the next of events that come by chance."""
    return -mean * log1p(-value)


def exponentials(values: Floats, mean: float) -> Floats:
    """What :func:`exponential` gives, for many."""
    times: Floats = np.log1p(-values) * -mean
    return times
