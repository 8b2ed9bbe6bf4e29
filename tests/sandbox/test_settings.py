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


def test_a_sandbox_needs_a_client():
    with pytest.raises(ConfigurationError, match="at least one client"):
        Settings(clients=())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clients = [", " is not TOML: "),
        (f"a = {'9' * 5000}", " is not TOML: "),
        ("", " must hold [[clients]] tables, one for each client, and nothing else."),
        ("clients = []", " must hold [[clients]] tables"),
        ("[clients]\nclient_id = 'a'", " must hold [[clients]] tables"),
        (f"client = 1\n{TABLE}", " must hold [[clients]] tables"),
        ("clients = [1]", ", [[clients]] table 1: must be a table with no other keys than client_id, client_secret, "),
        (TABLE + "scope = 1", ", [[clients]] table 1: must be a table with no other keys than client_id, "),
        (OTHER, ", [[clients]] table 1: Client.__init__() missing 1 required keyword-only argument: 'scopes'."),
        (TABLE + "user_id = true", ", [[clients]] table 1: user_id: must be a whole number"),
        (TABLE + "role = 1", ", [[clients]] table 1: role: must be text."),
        (TABLE + OTHER + "scopes = 'data'", ", [[clients]] table 2: scopes: must be a list of one or more names"),
        (TABLE + OTHER + "scopes = []", ", [[clients]] table 2: scopes: must be a list"),
        (TABLE + OTHER + "scopes = [1]", ", [[clients]] table 2: "),
        (TABLE + OTHER + "scopes = ['a, b']", ", [[clients]] table 2: 'a, b' cannot be a scope"),
        (TABLE + TABLE, ", [[clients]] table 2: client_id: another client has the same."),
        (TABLE.replace("'a'", "'a:'"), ", [[clients]] table 1: The client id has a colon"),
        (TABLE.replace("'canary'", "1"), ", [[clients]] table 1: The client secret must be a str"),
    ],
)
def test_a_wrong_file_of_clients_is_explained_with_table_and_key(tmp_path, text, said):
    file = tmp_path / "clients.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_clients(file)
    assert str(caught.value).startswith(f"{file}{said}")
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
    """Run the command up to where it would listen; give its exit status, its message, and the settings."""
    ran: list[Settings] = []
    monkeypatch.setattr(server, "run", ran.append)

    def run(*arguments: str) -> tuple[int, str, list[Settings]]:
        result = CliRunner().invoke(command, arguments)
        if isinstance(result.exception, ConfigurationError):  # which the caller reports
            return 2, str(result.exception), ran
        return result.exit_code, result.stderr, ran

    return run


@pytest.mark.parametrize(
    ("line", "settings"),
    [
        ("", Settings()),
        (
            "--host ::1 --port 0 --lifetime 60 --delay 0.5 --validate-responses --allow-host a --allow-host b",
            Settings(host="::1", port=0, lifetime=60, delay=0.5, validate_responses=True, allowed_hosts=("a", "b")),
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
        (["--port", "s3cret"], "Invalid value for '--port': not a whole number."),
        (["--port", "65536"], "port: must be"),
        (["--lifetime", "9" * 400], "lifetime: must be 0 to"),
        (["--lifetime", "s3cret"], "'--lifetime': not a whole number."),
        (["--lifetime", "-1"], "lifetime: must be 0 to"),
        (["--delay", "nan"], "delay: must be 0 seconds or more."),
        (["--delay", "-0.1"], "delay: must be"),
        (["--delay", "inf"], "delay: must be"),
        (["--delay", "s3cret"], "'--delay': not a number."),
        (["--fail", "s3cret"], "'--fail': not such as 503, 429x3 or api:401."),
        (["--fail", "999"], "'--fail': not such as"),
        (["--scope", ""], "scopes: must be a list of one or more names"),
        (["--clients", "missing\n.toml"], "missing .toml cannot be read: No such file"),
        (["--clients", "missing.toml", "--scope", "data"], "--clients, put them in the file."),
        (["s3cret"], "The command takes options only."),
        (["--validate"], "No such option"),
    ],
)
def test_a_wrong_option_is_explained_without_its_value(run, arguments, said):
    status, message, ran = run(*arguments)
    assert (status, ran) == (2, [])
    assert said in message
    assert "s3cret" not in message


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(option):
    result = CliRunner().invoke(command, [option])
    assert result.exit_code == 0
    assert "--validate-responses" in result.output
    assert """\n    curl -d '{"status": 503, "times": 2}' http://127.0.0.1:8765/_sandbox/fail\n""" in result.output
