"""In place of Airflow's connections."""

import os
from types import SimpleNamespace


class BaseHook:
    @staticmethod
    def get_connection(conn_id: str) -> SimpleNamespace:
        assert conn_id == "domo"
        return SimpleNamespace(login=os.environ["DOMO_CLIENT_ID"], password=os.environ["DOMO_CLIENT_SECRET"])
