"""Prefect: a flow with tasks on threads and retries, run by a server of its own on loopback."""

import os
import sys

os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "120"  # before the import; for a busy machine

import checks
from prefect.client.orchestration import get_client

DATASETS, PAGES = 120, 3
checks.sandbox.datasets = [{"id": f"{number}", "name": f"DataSet {number}"} for number in range(DATASETS)]
page = checks.module("prefect_flow")


def names() -> None:
    assert len(page.names()) == DATASETS


checks.check_calls(names, 2)
before = checks.sandbox.stats()
checks.sandbox.revoke_tokens()
names()
counted = checks.since(before)
assert counted["token_requests"] == 1, counted
assert 1 <= counted["invalid_token"] <= PAGES, counted
checks.row["revoked"] = "renewed, 401 replayed"
checks.check_retried(names, failures=1, requests=PAGES)
checks.check_expired(names)
with get_client(sync_client=True) as client:  # its server is there already
    server = {"PREFECT_API_URL": str(client.api_url)}
checks.check_script(sys.executable, "prefect_flow.py", api_error=404, traceback=True, env=server)
checks.versions("prefect")
checks.done("3 tasks on threads; an ephemeral server; 503: the task is retried")
