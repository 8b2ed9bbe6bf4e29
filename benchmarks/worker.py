"""A process of a library's environment, which takes one sample for each line on stdin: ``python -m benchmarks.worker``.

A line names a measure or a probe, and an argument if it takes one; the answer is a line of JSON: ``sample``, nothing if
the library cannot do it, or ``error``.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from typing import TYPE_CHECKING

from .bursts import BURSTS
from .endpoint import Endpoint
from .probes import PROBES
from .processes import PROCESSES
from .subjects import SUBJECTS
from .timings import TIMINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .probes import Seen
    from .subjects import Sample

_MEASURES: dict[str, Callable[..., Sample | Seen]] = {
    measure.__name__: measure for measure in (*TIMINGS, *BURSTS, *PROCESSES, *PROBES)
}


def main(name: str, port: int) -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout = sys.stderr  # what libraries print is no answer
    warnings.simplefilter("ignore")
    endpoint = Endpoint(port)
    subject = SUBJECTS[name](endpoint.base_url)
    for line in sys.stdin:
        answer: dict[str, object] = {}
        try:
            key, *argument = line.strip().split(" ", 1)
            answer["sample"] = _MEASURES[key](subject, endpoint, *argument)
        except NotImplementedError:
            pass
        except Exception:  # noqa: BLE001 -- said, and the others go on
            answer["error"] = traceback.format_exc()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
