"""In place of boto3 in the recipes of docs/credentials.md."""

import json
import os
from types import SimpleNamespace


def client(service: str) -> SimpleNamespace:
    assert service == "secretsmanager"
    return SimpleNamespace(get_secret_value=_get_secret_value)


def _get_secret_value(SecretId: str) -> dict[str, str]:  # noqa: N803 -- boto3's name
    assert SecretId == "domo"
    names = ("client_id", "client_secret")
    return {"SecretString": json.dumps({name: os.environ[f"DOMO_{name.upper()}"] for name in names})}
