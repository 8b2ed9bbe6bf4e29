"""Measures rows and tries features in a library's environment: ``python -m benchmarks.worker NAME URL KEY...``.

Prints a line of JSON for each key; see `answer_of`.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .endpoint import Endpoint
from .features import FEATURES
from .rows import ROWS, crowd, held, loaded, resident
from .subjects import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Callable


def answer_of(measure: Callable[[], object]) -> dict[str, Any]:
    """The ``sample``, or the ``error``, or neither if the library cannot do this; and the ``seconds`` it took."""
    answer: dict[str, Any] = {}
    began = time.monotonic()
    try:
        answer["sample"] = measure()
    except NotImplementedError:
        pass
    except Exception:  # noqa: BLE001 -- it is reported, and the others go on
        answer["error"] = traceback.format_exc()
    return {**answer, "seconds": time.monotonic() - began}


def main(name: str, url: str, *keys: str) -> None:
    subject = SUBJECTS[name]
    if keys[0] == "crowd":
        crowd(subject, url, keys[1])
        return
    if keys[0] == "held":
        held(subject, url, keys[1])
    endpoint, answers = Endpoint(urlsplit(url).port or 0), os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout = sys.stderr  # for what libraries print
    warnings.simplefilter("ignore")
    measures: dict[str, Any] = {
        "loaded": loaded,
        "resident": resident,
        **{row.key: row.measure for row in ROWS.values()},
    }
    measures |= {each.key: each.probe for each in FEATURES.values() if each.probe}
    for key in keys:
        endpoint.answers()
        answers.write(json.dumps(answer_of(lambda key=key: measures[key](subject, endpoint))) + "\n")  # type: ignore[misc]
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
