"""A keyring that holds what the environment holds."""

import os

from keyring.backend import KeyringBackend
from keyring.credentials import SimpleCredential


class Keyring(KeyringBackend):
    priority = 1

    def get_password(self, service: str, username: str) -> str:
        assert service == "domo"
        return os.environ["DOMO_CLIENT_SECRET"]

    def get_credential(self, service: str, username: str | None) -> SimpleCredential:
        return SimpleCredential(os.environ["DOMO_CLIENT_ID"], self.get_password(service, ""))

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError

    def delete_password(self, service: str, username: str) -> None:
        raise NotImplementedError
