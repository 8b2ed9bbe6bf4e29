"""A typed client of another API, made as interop/typed-client/README.md says, with our tokens."""

from __future__ import annotations

import asyncio
import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes import until

FOLDER = Path(__file__).parents[2] / "interop/typed-client"
PAGE = (FOLDER / "README.md").read_text()
GENERATE = re.search(r"openapi-python-client (generate .*)", PAGE)[1].split()
BLOCKS = re.findall(r"(?s)```python\n(.*?)```", PAGE)


@pytest.fixture(scope="module", autouse=True)
def generated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("typed-client")
    shutil.copy(FOLDER / "datasets.yaml", folder)
    subprocess.run(
        [sys.executable, "-m", "openapi_python_client", *GENERATE], cwd=folder, check=True, capture_output=True
    )
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield
    sys.path.remove(str(folder))


@pytest.mark.slow
def test_the_page_runs_across_an_expiry_and_a_revocation(domo_sandbox, capsys):
    domo_sandbox.datasets = [{"id": f"id-{number}", "name": "Set", "rows": number} for number in range(5)]
    domo_sandbox.lifetime = 1  # second
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
    assert capsys.readouterr().out == "".join(f"id-{number} Set {number}\n" for number in range(5))
    pages = names["all_datasets"](page=2)
    ids = [next(pages).id]
    domo_sandbox.revoke_tokens()
    ids += [each.id for each in pages]
    assert ids == [f"id-{number}" for number in range(5)]
    names["client"].get_httpx_client().close()
    until(lambda: (names["auth"].provider.stats().expires_in or 0) <= 0)
    assert [each.id for each in asyncio.run(names["first_page"]())] == ids
    assert domo_sandbox.stats().tokens_issued >= 3
    assert domo_sandbox.stats().outside_contract == 0
