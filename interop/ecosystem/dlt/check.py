"""dlt: a RESTClient, and a pipeline from rest_api_source to DuckDB."""

import sys

import checks

DATASETS = 120  # three pages

checks.sandbox.datasets = [{"id": f"{number}", "name": f"DataSet {number}"} for number in range(DATASETS)]
client, source = checks.module("dlt_client"), checks.module("dlt_source")


def names() -> None:
    assert len(client.names()) == DATASETS


def load() -> None:
    assert not source.load().has_failed_jobs


checks.check_calls(names, 5)
load()  # with the same token, as it has the same credentials and scopes
assert checks.sandbox.stats().token_requests == 1
checks.check_revoked(load)
checks.check_expired(load)
checks.check_revoked(names)
checks.check_expired(names)
checks.check_script(sys.executable, "dlt_client.py", api_error=404)
checks.check_script(sys.executable, "dlt_source.py", api_error=404)
checks.versions("dlt")
checks.done("`RESTClient`, `rest_api_source` into DuckDB; 3 pages; the pipeline's folder")
