"""Airflow: HttpHook in a task of a DAG, run with `dag.test()` on SQLite."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import checks

os.environ |= {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(Path.cwd() / "dags"),
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",  # at DEBUG, dag.test() logs the passwords of connections itself
}
connection = {
    "conn_type": "http",
    "host": os.environ["DOMO_API_URL"],
    "login": os.environ["DOMO_CLIENT_ID"],
    "password": os.environ["DOMO_CLIENT_SECRET"],
}
os.environ["AIRFLOW_CONN_DOMO"] = json.dumps(connection)

Path("dags").mkdir()
Path("domo_dag.py").rename("dags/domo_dag.py")
OPERATOR = """
from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import DAG
from domo_dag import hook

with DAG("operator", schedule=None) as operator_dag:
    HttpOperator(
        task_id="names", http_conn_id="domo", method="GET", endpoint="v1/datasets", auth_type=hook.auth_type
    )
"""
Path("dags/operator_dag.py").write_text(OPERATOR, encoding="utf-8")
sys.path.insert(0, "dags")
checks.run("airflow", "db", "migrate")
checks.run("sh", "connect.sh")  # for Domo itself; the environment's connection comes first
page = checks.module("domo_dag")


def names() -> None:
    answer = page.hook.run("v1/datasets").json()
    assert [dataset["name"] for dataset in answer] == checks.NAMES


checks.check_calls(names)
checks.check_revoked(names)
checks.check_expired(names)


def run_dag(dag: Any) -> tuple[str, str]:
    """Run a DAG, as the scheduler would, but in this process. Returns the states of the run and of its task."""
    run = dag.test()
    (task,) = run.get_task_instances()
    return str(run.state), f"{task.state} at try {task.try_number}"


before = checks.sandbox.stats()
for dag in (page.domo_dag, checks.module("operator_dag").operator_dag):
    states = run_dag(dag)
    assert states == ("success", "success at try 1"), states
assert checks.since(before)["token_requests"] == 0, checks.since(before)  # the connection's credentials are the same
os.environ["AIRFLOW_CONN_DOMO"] = json.dumps(connection | {"password": checks.WRONG["DOMO_CLIENT_SECRET"]})
states = run_dag(page.domo_dag)
assert states == ("failed", "failed at try 1"), states
assert checks.since(before)["token_requests"] == 1, checks.since(before)
checks.row["wrong"] = "1 request; `AirflowFailException`, no retry"
checks.versions("apache-airflow", "apache-airflow-providers-http")
checks.done("`HttpHook`, `HttpOperator`; DAGs by `dag.test()` on SQLite; Airflow's logs")
