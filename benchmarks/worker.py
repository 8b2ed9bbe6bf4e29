"""A process of a library's environment, which takes one sample for each line on stdin: ``python -m benchmarks.worker``.

A line names a figure; the answer is a line of JSON: ``sample``, nothing if the library cannot do it, or ``error``.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings

from .bursts import BURSTS
from .endpoint import Endpoint
from .subjects import SUBJECTS
from .timings import TIMINGS

_MEASURES = {measure.__name__: measure for measure in (*TIMINGS, *BURSTS)}


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
            answer["sample"] = _MEASURES[line.strip()](subject, endpoint)
        except NotImplementedError:
            pass
        except Exception:  # noqa: BLE001 -- said, and the others go on
            answer["error"] = traceback.format_exc()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
