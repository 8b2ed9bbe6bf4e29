"""celery: a prefork pool whose processes share a token, over a broker and a backend of files."""

import os
import subprocess
import time
from pathlib import Path

import checks

WORKERS = 4
CALLS = 40

Path("celeryconfig.py").write_text(
    f"""broker_url = "filesystem://"
broker_transport_options = {{"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}}
result_backend = "{Path("results").absolute().as_uri()}"
worker_hijack_root_logger = False
worker_send_task_events = False
task_track_started = False
""",
    encoding="utf-8",
)
for folder in ("queue", "control", "results"):
    Path(folder).mkdir()

page = checks.module("tasks")


def start(env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["/bin/sh", "work.sh"], env=os.environ | (env or {}))


def call(times: int = CALLS) -> dict[str, int]:
    """Send tasks and wait for their results. Returns what the sandbox counted."""
    before = checks.sandbox.stats()
    for result in [page.names.delay() for _ in range(times)]:
        assert result.get(timeout=checks.WAIT_SECONDS) == checks.NAMES
    return checks.since(before)


assert page.auth.provider.get_token()  # this process, which sends the tasks, has a token and leaves it in the store
assert checks.sandbox.stats().token_requests == 1
worker = start()
try:
    counted = call()
    assert counted["token_requests"] == 0, counted
    checks.row["calls"] = f"1 for {counted['resource_requests']} calls by {WORKERS} processes"
    checks.sandbox.lifetime = 20
    checks.sandbox.revoke_tokens()
    counted = call()
    assert counted["token_requests"] == 1, counted
    assert 1 <= counted["invalid_token"] <= WORKERS, counted
    checks.row["revoked"] = "renewed, 401 replayed; 1 request by all"
    time.sleep(20.2)
    counted = call()
    assert counted["token_requests"] == 1, counted
    assert counted["invalid_token"] == 0, counted
    checks.row["expired"] = "renewed, no 401; 1 request by all"
    checks.sandbox.lifetime = 3599
    checks.check_retried(lambda: call(1))
finally:
    worker.terminate()
    worker.wait(30)

before = checks.sandbox.stats()
worker = start(checks.WRONG)
try:
    result = page.names.delay()
    error = result.get(timeout=checks.WAIT_SECONDS, propagate=False)
    assert type(error).__name__ == "InvalidClientError", error
    assert "Domo does not accept the client id" in str(error), error
finally:
    worker.terminate()
    worker.wait(30)
assert checks.since(before)["token_requests"] == 1, checks.since(before)
checks.row["wrong"] = "1 request; the result says why"
checks.versions("celery")
checks.done("prefork; broker, results and store are files; 503 twice: repeated")
