"""In place of hvac in the recipes of docs/credentials.md."""

import os
from types import SimpleNamespace


class Client:
    def __init__(self) -> None:
        v2 = SimpleNamespace(read_secret_version=self._read)
        self.secrets = SimpleNamespace(kv=SimpleNamespace(v2=v2))

    def _read(self, path: str, *, raise_on_deleted_version: bool) -> dict[str, dict[str, dict[str, str]]]:
        assert (path, raise_on_deleted_version) == ("domo", True)
        return {"data": {"data": {name: os.environ[f"DOMO_{name.upper()}"] for name in ("client_id", "client_secret")}}}
