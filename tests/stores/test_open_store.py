"""`DOMO_STORE`: what names a store, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from redis import SSLConnection

from domo_oauth import ConfigurationError, FileStore, RedisStore, TokenProvider
from domo_oauth.stores import open_store


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name, value in {"HOME": "/home/somebody", "DOMO_CLIENT_ID": "id", "DOMO_CLIENT_SECRET": "secret"}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize(
    ("where", "path"),
    [
        ("/var/lib/tokens", "/var/lib/tokens"),
        ("~/tokens", "/home/somebody/tokens"),
        ("./tokens", "tokens"),
        (" /var/lib/my tokens\n", "/var/lib/my tokens"),
        ("/var/redis://x", "/var/redis:/x"),
    ],
)
def test_a_path_is_a_folder(where, path):
    store = open_store(where)
    assert isinstance(store, FileStore)
    assert store.path == Path(path).absolute()


@pytest.mark.parametrize(
    ("where", "shown", "encrypted"),
    [
        ("REDIS://user:canary@redis.example:6380/3", "redis.example:6380/3", False),
        ("rediss://:canary@redis.example?db=2", "redis.example:6379/2", True),
        ("valkey://valkey.example/1", "valkey.example:6379/1", False),
        ("valkeys://valkey.example?client_name=a://b", "valkey.example:6379/0", True),
        ("unix:///run/redis.sock?db=2", "/run/redis.sock/2", False),
        ("redis:///1", "localhost:6379/1", False),
    ],
)
def test_a_url_is_a_server(where, shown, encrypted):
    store = open_store(where)
    assert repr(store) == f"RedisStore({shown!r}, prefix='domo-oauth:')"
    pool = store._client().connection_pool
    assert (pool.connection_class is SSLConnection) == encrypted
    assert [pool.connection_kwargs[f"socket_{name}timeout"] for name in ("connect_", "")] == [1.0, 2.0]


INVALID = ["", " ", ".", "~", "tokens", "a/b", "../tokens", "None", "~user/tokens", "canary-password@host"]
INVALID += ["redis:/canary", "redis:canary", "http://:canary@host", "file:///tmp/canary", "postgres://u:canary@host"]


@pytest.mark.parametrize("where", INVALID)
def test_anything_else_is_an_error_that_says_what_is_accepted(where, tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"absolute path, ~/\.\.\. or \./.*redis://.*valkeys://.*none"
    ) as caught:
        open_store(where)
    assert "canary" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("where", ["./tokens", "redis://127.0.0.1:1"])
def test_the_same_place_is_the_same_store(where, environment):
    assert open_store(where) is open_store(f" {where}")
    first = open_store("./tokens")
    environment.chdir("/")
    assert open_store("./tokens") is not first


def test_from_env_uses_the_store_that_domo_store_names(environment, tmp_path):
    make = TokenProvider.from_env
    assert make()._store is None
    for unset in ("", " ", "none"):
        environment.setenv("DOMO_STORE", unset)
        assert make()._store is None
    environment.setenv("DOMO_STORE", "redis://redis.example")
    assert isinstance(make()._store, RedisStore)
    assert make()._state is make()._state, "providers for the same place share a token"
    given = FileStore(tmp_path)
    assert make(store=given)._store is given
    environment.setenv("DOMO_STORE", "tokens")
    with pytest.raises(ConfigurationError, match="Invalid store"):
        make()


def test_a_pickle_takes_no_store_of_the_environment_along(environment, tmp_path):
    environment.setenv("DOMO_STORE", "redis://:canary@redis.example")
    pickled = pickle.dumps(TokenProvider.from_env())
    assert b"canary" not in pickled
    environment.setenv("DOMO_STORE", str(tmp_path))
    assert pickle.loads(pickled)._store.path == tmp_path
    given = pickle.loads(pickle.dumps(TokenProvider.from_env(store=FileStore("/elsewhere"))))
    assert given._store.path == Path("/elsewhere")
