"""Jupyter: a notebook of synchronous and asynchronous cells, run in a kernel."""

import os
import time
from pathlib import Path

import checks
import nbformat
from nbclient import NotebookClient

names = [f"cell_{number}" for number in (1, 2, 3)]
cells = [nbformat.v4.new_code_cell(Path(f"{name}.py").read_text(encoding="utf-8")) for name in names]
again = [nbformat.v4.new_code_cell(cell.source) for cell in cells[1:]]
later = [nbformat.v4.new_code_cell(cell.source) for cell in cells[1:]]
shown = nbformat.v4.new_code_cell("auth.provider")
notebook = nbformat.v4.new_notebook(cells=[*cells, *again, *later, shown])
client = NotebookClient(notebook, timeout=checks.WAIT_SECONDS)
step = iter(range(len(notebook.cells)))


def run(times: int) -> dict[str, int]:
    """Run the next cells. Returns what the sandbox counted."""
    before = checks.sandbox.stats()
    for _ in range(times):
        index = next(step)
        client.execute_cell(notebook.cells[index], index)
    return checks.since(before)


with client.setup_kernel():
    counted = run(3)
    assert (counted["token_requests"], counted["resource_requests"]) == (1, 4), counted
    checks.row["calls"] = "1 for 4 calls"
    checks.sandbox.lifetime = checks.LIFETIME
    checks.sandbox.revoke_tokens()
    counted = run(2)
    assert counted["invalid_token"] >= 1, counted
    checks.row["revoked"] = "renewed, 401 replayed"
    time.sleep(checks.LIFETIME + 0.2)
    counted = run(2)
    assert counted["invalid_token"] == 0, counted
    assert counted["token_requests"] >= 1, counted
    checks.row["expired"] = "renewed, no 401"
    run(1)
nbformat.write(notebook, "executed.ipynb")  # the runner searches it
printed = [cell.outputs[0].text for cell in notebook.cells if cell.outputs and "text" in cell.outputs[0]]
assert len(printed) == len(cells[1:] + again + later), printed
assert all(str(checks.NAMES) in text for text in printed), printed
assert "TokenProvider" in notebook.cells[-1].outputs[0].data["text/plain"]

wrong = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.source) for cell in cells[:2]])
before = checks.sandbox.stats()
os.environ |= checks.WRONG
NotebookClient(wrong, timeout=checks.WAIT_SECONDS).execute()
nbformat.write(wrong, "wrong.ipynb")
assert "Domo does not accept the client id" in str(wrong.cells[1].outputs), wrong.cells[1].outputs
assert checks.WRONG["DOMO_CLIENT_SECRET"] not in str(wrong)
assert checks.since(before)["token_requests"] == 1
checks.row["wrong"] = "1 request; clause catches it"
checks.versions("nbclient", "ipykernel")
checks.done("synchronous and asynchronous cells; the saved notebook")
