"""The command's options, and values that hold secrets."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from domo_oauth import ConfigurationError
from domo_oauth.sandbox import DEMO_CLIENT, Client, Failure, Sandbox, server
from domo_oauth.sandbox.command import command
from domo_oauth.sandbox.settings import Settings


@pytest.mark.parametrize("clients", [[], [DEMO_CLIENT, DEMO_CLIENT]])
def test_each_client_has_an_id_of_its_own(clients):
    with pytest.raises(ConfigurationError, match="clients: must be one or more, each with a client_id of its own"):
        Settings(clients=clients)


def test_no_repr_shows_a_secret():
    mine = Client(client_id="mine", client_secret="canary", scopes=("data",))
    failure = Failure(status=200, body="canary")
    shown = repr(
        [mine, Settings(clients=(mine,), failures=(failure,)), Sandbox("http://127.0.0.1:1", "mine", "canary")]
    )
    assert "mine" in shown
    assert "canary" not in shown


@pytest.fixture
def run(monkeypatch):
    """Run the command up to where it would listen; give its exit status, its error, and the settings."""
    ran: list[Settings] = []
    monkeypatch.setattr(server, "run", ran.append)

    def run(*arguments: str) -> tuple[int, str, list[Settings]]:
        result = CliRunner().invoke(command, arguments)
        return result.exit_code, result.stderr or str(result.exception or ""), ran

    return run


@pytest.mark.parametrize(
    ("line", "settings"),
    [
        ("", Settings()),
        (
            "--host ::1 --port 0 --lifetime 60 --delay 0.5 --allow-host a --allow-host b",
            Settings(host="::1", port=0, lifetime=60, delay=0.5, allowed_hosts=("a", "b")),
        ),
        (
            "--fail 503 --fail token:429x3 --fail api:401",
            Settings(failures=(Failure(status=503), Failure(status=429, times=3), Failure(status=401, at="api"))),
        ),
    ],
)
def test_options(run, line, settings):
    assert run(*line.split()) == (0, "", [settings])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--host s3cret", "host: must be a loopback address, 127.0.0.1 or ::1."),
        ("--host 0.0.0.0", "host: must be"),
        ("--port 65536", "port: must be"),
        (f"--lifetime {'9' * 400}", "lifetime: must be 0 to"),
        ("--delay nan", "delay: must be 0 seconds or more."),
        ("--delay inf", "delay: must be"),
        ("--fail x", "Invalid value for '--fail'"),
        ("--fail 999", "status: must be an HTTP status from 200 to 599."),
    ],
)
def test_a_wrong_option_is_explained_and_nothing_runs(run, line, said):
    status, message, ran = run(*line.split())
    assert status != 0
    assert ran == []
    assert said in message
    assert "s3cret" not in message
