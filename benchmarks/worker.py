"""Samples rows in a library's environment: ``python -m benchmarks.worker NAME URL KEY...``.

Prints a line of JSON for each key: the ``sample``, or the ``error``, or neither if the library cannot do this; and the
``seconds`` it took.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
import warnings
from typing import Any
from urllib.parse import urlsplit

from . import features  # noqa: F401 -- adds the probes to the rows
from .endpoint import Endpoint
from .rows import ROWS
from .subjects import SUBJECTS


def main(name: str, url: str, *keys: str) -> None:
    endpoint, answers = Endpoint(urlsplit(url).port or 0), os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # for what libraries print, here and in processes of theirs
    warnings.simplefilter("ignore")
    for key in keys:
        endpoint.answers()
        answer: dict[str, Any] = {}
        began = time.monotonic()
        try:
            answer["sample"] = ROWS[key].measure(SUBJECTS[name], endpoint)
        except NotImplementedError:
            pass
        except Exception:  # noqa: BLE001 -- it is reported, and the others go on
            answer["error"] = traceback.format_exc()
        print(json.dumps({**answer, "seconds": time.monotonic() - began}), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
