"""Clients, settings, and the command that takes them."""

from __future__ import annotations

import pytest
from attrs import evolve
from click.testing import CliRunner

from domo_oauth import ConfigurationError
from domo_oauth.sandbox import DEMO_CLIENT, Client, Failure, Sandbox, Settings, load_clients, server
from domo_oauth.sandbox.command import command

TABLE = "[[clients]]\nclient_id='a'\nclient_secret='canary'\nscopes=['data']\n"
OTHER = "[[clients]]\nclient_id='b'\nclient_secret='canary'\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clients = [", "Invalid value (at end of document)"),
        (f"a = {'9' * 5000}", "Exceeds the limit"),
        ("a = " + "[" * 5000, "it is nested too deeply."),
        (TABLE + '"\\u001b[2J" = 1', "got an unexpected keyword argument ' [2J'."),
        ("a = 1", "it has no [[clients]] table."),
        ("clients = []", "clients: must be one or more"),
        ("clients = 1", "'int' object is not iterable"),
        ("clients = [1]", "must be an object with names and values."),
        (TABLE + "scope = 1", "got an unexpected keyword argument 'scope'."),
        (OTHER, "missing 1 required keyword-only argument: 'scopes'."),
        (TABLE + "user_id = true", "user_id: must be a whole number, 0 or more."),
        (TABLE + "role = 1", "role: must be text."),
        (TABLE + OTHER + "scopes = []", "scopes: must be a list of one or more names"),
        (TABLE + OTHER + "scopes = [1]", "A scope must be of the type str, not int."),
        (TABLE + TABLE, "clients: must be one or more, each with a client_id of its own."),
        (TABLE.replace("'a'", "'a:'"), "The client id has a colon"),
        (TABLE.replace("'canary'", "1"), "The client secret must be a str"),
    ],
)
def test_a_wrong_file_of_clients_is_explained_without_a_secret(tmp_path, text, said):
    file = tmp_path / "clients.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_clients(file)
    assert str(caught.value).startswith(f"No clients in {file}: ")
    assert said in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_file_of_clients(tmp_path):
    file = tmp_path / "clients.toml"
    file.write_text(f'{TABLE}customer = "acme"\nrole = "Editor"\nuser_id = 7\n{OTHER}scopes = ["user", "data", "user"]')
    assert load_clients(file) == (
        Client(client_id="a", client_secret="canary", scopes=("data",), customer="acme", role="Editor", user_id=7),
        Client(client_id="b", client_secret="canary", scopes=("data", "user")),
    )


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
        ("--scope data,user", Settings(clients=(evolve(DEMO_CLIENT, scopes=("data", "user")),))),
        ("--customer acme", Settings(clients=(evolve(DEMO_CLIENT, customer="acme"),))),
        (
            "--fail 503 --fail token:429x3 --fail api:401",
            Settings(failures=(Failure(status=503), Failure(status=429, times=3), Failure(status=401, at="api"))),
        ),
    ],
)
def test_options(run, line, settings):
    assert run(*line.split()) == (0, "", [settings])


def test_clients_come_from_a_file(run, tmp_path):
    file = tmp_path / "clients.toml"
    file.write_text(TABLE)
    assert run("--clients", str(file))[2] == [Settings(clients=load_clients(file))]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "s3cret"], "host: must be a loopback address, 127.0.0.1 or ::1."),
        (["--host", "0.0.0.0"], "host: must be"),
        (["--port", "65536"], "port: must be"),
        (["--lifetime", "9" * 400], "lifetime: must be 0 to"),
        (["--delay", "nan"], "delay: must be 0 seconds or more."),
        (["--delay", "inf"], "delay: must be"),
        (["--fail", "x"], "Invalid value for '--fail'"),
        (["--fail", "999"], "status: must be an HTTP status from 200 to 599."),
        (["--scope", ""], "scopes: must be a list of one or more names"),
        (["--clients", "missing\n.toml"], "No clients in missing .toml: [Errno 2] No such file"),
    ],
)
def test_a_wrong_option_is_explained_and_nothing_runs(run, arguments, said):
    status, message, ran = run(*arguments)
    assert status != 0
    assert ran == []
    assert said in message
    assert "s3cret" not in message
