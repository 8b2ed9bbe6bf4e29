from __future__ import annotations

import copy
import pickle

import pytest

from domo_oauth import ClientCredentials, ConfigurationError


def test_from_env_strips_whitespace(monkeypatch):
    monkeypatch.setenv("DOMO_CLIENT_ID", " an-id\n")
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "a-secret\r\n")
    assert ClientCredentials.from_env() == ClientCredentials("an-id", "a-secret")


@pytest.mark.parametrize(
    ("client_id", "client_secret", "missing"),
    [
        (None, None, "DOMO_CLIENT_ID and DOMO_CLIENT_SECRET"),
        ("an-id", None, "DOMO_CLIENT_SECRET"),
        ("an-id", "  ", "DOMO_CLIENT_SECRET"),
        ("", "a-secret", "DOMO_CLIENT_ID"),
    ],
)
def test_from_env_names_the_missing_variable(monkeypatch, client_id, client_secret, missing):
    if client_id is not None:
        monkeypatch.setenv("DOMO_CLIENT_ID", client_id)
    if client_secret is not None:
        monkeypatch.setenv("DOMO_CLIENT_SECRET", client_secret)
    with pytest.raises(ConfigurationError, match=rf"environment: {missing}\."):
        ClientCredentials.from_env()


@pytest.mark.parametrize(
    ("client_id", "client_secret", "said"),
    [
        ("", "secret", "client id is empty"),
        ("id", "", "client secret is empty"),
        (None, "secret", "client id must be a str, not NoneType"),
        ("id", b"secret", "client secret must be a str, not bytes"),
        ("id ", "secret", "client id has whitespace around it"),
        ("id", "secret\n", "client secret has whitespace around it"),
        ("id", "sec\x00ret", "control character"),
        ("an:id", "secret", "colon"),
    ],
)
def test_what_basic_authentication_cannot_carry_is_refused(client_id, client_secret, said):
    with pytest.raises(ConfigurationError, match=said):
        ClientCredentials(client_id, client_secret)


def test_a_secret_may_have_any_form():
    assert ClientCredentials("id", "pass:word with spaces, é and 漢字").client_secret.startswith("pass")


def test_repr_tells_clients_apart_and_shows_nothing_of_the_secret():
    assert repr(ClientCredentials("abcdefghijkl", "secret")) == (
        "ClientCredentials(client_id='abcd…', client_secret=hidden)"
    )
    assert ClientCredentials("shortid", "secret").masked_client_id == "sh…"


def test_they_are_a_value():
    one = ClientCredentials("id", "secret")
    assert one == ClientCredentials("id", "secret")
    assert hash(one) == hash(ClientCredentials("id", "secret"))
    assert one != ClientCredentials("id", "other")
    assert one != ("id", "secret")
    assert pickle.loads(pickle.dumps(one)) == one
    assert copy.deepcopy(one) == one
    with pytest.raises(AttributeError):
        one.client_id = "other"
    with pytest.raises(AttributeError):
        del one.client_id
    with pytest.raises(TypeError):
        vars(one)
