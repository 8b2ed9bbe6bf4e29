"""Help, wrong usage, completion and exit statuses. No message quotes what may be a secret."""

from __future__ import annotations

import gc
import io
import json
import re
import runpy
import sys
from importlib import import_module

import pytest
import yaml

from domo_oauth import (
    ConfigurationError,
    DomoOAuthError,
    InvalidScopeError,
    RateLimitedError,
    ServerError,
    TokenRequestError,
    TransportError,
    UnexpectedResponseError,
    cli,
)
from domo_oauth.contract import contract, contract_text
from domo_oauth.stores import StoreError

COMMANDS = (
    *("token", "exec", "whoami", "forget", "login", "logout"),
    *("doctor", "sandbox", "verify", "record", "spec", "completion"),
)
SECRET = "hunter2CANARY"


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_the_help_lists_commands_environment_and_exit_statuses(option, run):
    ended = run(option)
    assert (ended.status, ended.err) == (0, "")
    named = re.findall(r"^  (\w+) ", ended.out.partition("Commands:\n")[2].partition("\n\n")[0], re.MULTILINE)
    assert named == list(COMMANDS)
    assert "Remove stored access tokens.\n" in ended.out
    for name in ("DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET_FILE", "DOMO_API_URL", "DOMO_STORE", "HTTPS_PROXY", "NO_COLOR"):
        assert name in ended.out
    assert "\n    4  temporary: no answer (" in ended.out


def test_without_a_command_the_help_goes_to_stderr(run):
    ended = run("")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == run("--help").out


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_command_has_help_with_examples_and_exit_statuses(command, option, run):
    ended = run([command, option])
    assert (ended.status, ended.err) == (0, "")
    assert f"domo-oauth {command}" in ended.out
    assert "\n    130, 141  stopped by Ctrl-C" in ended.out
    assert command == "sandbox" or re.search(rf"^  Examples?.*:\n    .*domo-oauth {command}", ended.out, re.MULTILINE)
    assert "oauth2-bearer" not in ended.out  # no example passes a token as an argument


@pytest.mark.parametrize(("columns", "widest"), [("60", 60), ("1000", 100)])
def test_the_options_are_as_wide_as_the_terminal_up_to_100_columns(columns, widest, run):
    options = run("token --help", COLUMNS=columns).out.partition("Options:")[2].partition("\n\n")[0]
    assert widest - 25 < max(map(len, options.splitlines())) <= widest


NOT_SECONDS = "--min-lifetime must be a number of seconds, zero or more, not "
WRONG = {
    "tokn": "No such command. Did you mean token? See 'domo-oauth --help'.",
    SECRET: "No such command. See 'domo-oauth --help'.",
    "-- --x": "No such command. See",
    "token --fromat raw": "No such option: --fromat. Did you mean --format? See 'domo-oauth token --help'.",
    f"token --client-secret={SECRET}": "No such option: --client-secret. Did you mean --client-id or --client-secr",
    f"token --{SECRET}": "No such option. See",
    f"-{SECRET}": "No such option. See",
    f"token {SECRET}": "Unexpected argument. See 'domo-oauth token --help'.",
    f"spec a {SECRET}": "Unexpected argument. See 'domo-oauth spec --help'.",
    f"sandbox {SECRET}": "Unexpected argument. See 'domo-oauth sandbox --help'.",
    f"token --no-store={SECRET}": "Option '--no-store' does not take a value. See",
    "token --format": "Option '--format' requires an argument. See",
    f"token --format {SECRET}": "Invalid value for '--format': expected [raw|json|header|env|curl-config]. See",
    f"token --min-lifetime {SECRET}": "Invalid value for '--min-lifetime': expected SECONDS. See",
    "token --min-lifetime=-1": f"{NOT_SECONDS}-1.0.",
    "token --min-lifetime nan": f"{NOT_SECONDS}nan.",
    "token --scope dta": "'dta' is not a scope that the contract lists (account, audit, ",
    "whoami --scope dta": "'dta' is not a scope .* Did you mean 'data'? .* pass --custom-scope 'dta'.",
    "token --scope ,": "No scope was given. .* every scope of the client: leave --scope out if you mean that.",
    f"doctor --scope {SECRET}": "--scope and --custom-scope take names, such as data.",
    f"forget --custom-scope {SECRET}": "--scope and --custom-scope take names, such as data.",
    "exec": "Missing argument '[--] COMMAND...'. See 'domo-oauth exec --help'.",
    "exec --": "Missing argument '[--] COMMAND...'. See",
    "verify": "Missing argument 'FILE...'. See",
    "record": "Missing option '--out'. See",
    f"completion {SECRET}": "Invalid value for '{bash|zsh|fish}': expected {bash|zsh|fish}. See",
    f"whoami --base-url https://user:{SECRET}@example.test": "The base URL must not carry a user name or password",
    f"token --client-id id --client-secret-file {SECRET}": "The client secret cannot be read from its file: No ",
    f"exec -- {SECRET}": "exec: there is no such command.",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_usage_is_one_line_that_quotes_no_secret(line, run, domo):
    status, out, err = run(line)
    assert (status, out, err.count("\n"), SECRET in err) == (127 if line.startswith("exec -- ") else 2, "", 1, False)
    assert re.match(".*".join(map(re.escape, f"domo-oauth: {WRONG[line]}".split(".*"))), err)
    assert len(domo.requests) == (status == 127)


def test_the_version(run, monkeypatch):
    assert re.fullmatch(r"domo-oauth \d+\.\d+\.\d+\n", run("--version").out)
    monkeypatch.setattr(sys, "stdout", out := io.StringIO())  # any stream will do
    assert cli.main(["--version"]) == 0
    assert out.getvalue().startswith("domo-oauth ")


@pytest.mark.parametrize("arguments", [["token"], ["--help"], []])
def test_without_click_it_says_what_to_install(arguments, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "click", None)
    monkeypatch.delitem(sys.modules, "domo_oauth.cli.app", raising=False)
    told = "domo-oauth: The command needs click: pip install 'domo-oauth[cli]'\n"
    assert run(arguments) == (2, "", told)


def test_another_missing_module_is_not_blamed_on_click(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "domo_oauth.contract", None)
    with pytest.raises(ModuleNotFoundError, match=r"domo_oauth\.contract"):
        run("spec")


def test_python_m_is_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["python -m domo_oauth", "--version"])
    monkeypatch.setattr(gc, "disable", lambda: None)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    module = import_module("domo_oauth.__main__")
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(module.__file__, run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("domo-oauth ")


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ConfigurationError("text"), 2, "text"),
        (StoreError("text"), 2, "text"),
        (DomoOAuthError("two\nlines\x1b[2J"), 1, "two lines [2J"),
        (TokenRequestError("text"), 3, "text"),
        (InvalidScopeError("text"), 3, "text"),
        (ServerError("text"), 4, "text"),
        (RateLimitedError("text"), 4, "text"),
        (TransportError("text"), 4, "text"),
        (UnexpectedResponseError("text"), 5, "text"),
        (OSError(28, "No space left", "a\x1b]0;b\n"), 1, "a ]0;b cannot be used: No space left."),
        (BrokenPipeError(), 141, None),
        (KeyboardInterrupt(), 130, None),
    ],
)
def test_an_error_is_one_printable_line_and_an_exit_status(error, status, told, run, monkeypatch):
    def fail():
        raise error

    monkeypatch.setattr("domo_oauth.contract.contract_text", fail)
    monkeypatch.setattr(cli, "_discard_output", lambda: None)
    assert run("spec") == (status, "", f"domo-oauth: {told}\n" if told else "")


def test_spec_prints_the_contract_as_it_was_written_or_as_json(run):
    assert run("spec").out == contract_text()
    printed = run("spec --json").out
    assert json.loads(printed) == yaml.safe_load(contract_text())
    assert printed == json.dumps(contract(), indent=2, ensure_ascii=False) + "\n"


def test_verify_prints_what_it_finds_and_ends_with_1(run, tmp_path):
    (tmp_path / "broken.har").write_text("{")
    ended = run(["verify", tmp_path / "broken.har", tmp_path / "nowhere.har"])
    assert (ended.status, ended.err) == (1, "")
    assert ended.out.count(str(tmp_path)) >= 2


def test_record_needs_credentials_before_it_asks_or_writes_anything(run, tmp_path):
    ended = run(["record", "--out", tmp_path / "out"])
    assert ended.status == 2
    assert "DOMO_CLIENT_ID" in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_record_asks_redacts_and_verifies(run, domo_sandbox, tmp_path):
    ended = run(["record", "--out", tmp_path / "out"])
    assert (ended.status, ended.err) == (0, "")
    written = sorted((tmp_path / "out").iterdir())
    assert len(written) == 4
    assert all(domo_sandbox.client_secret not in path.read_text() for path in written)
    assert run(["verify", *written]).status == 0


@pytest.mark.parametrize(
    ("line", "word", "expected"),
    [
        ("domo-oauth", "log", ["login", "logout"]),
        ("domo-oauth nonsense", "x", []),
        ("domo-oauth token", "--fo", ["--format"]),
        ("domo-oauth token --format", "c", ["curl-config"]),
        ("domo-oauth whoami --scope", "da", ["dashboard", "data"]),
        ("domo-oauth completion", "z", ["zsh"]),
        ("domo-oauth exec --scope data --", "cu", ["cunning", "curl"]),
        ("domo-oauth exec -- curl", "no-such-program", ["no-such-program"]),
    ],
)
def test_completion(line, word, expected, run, monkeypatch, tmp_path):
    for name in ("curl", "cunning", "other"):
        (tmp_path / name).touch()
    env = {"PATH": f"{tmp_path}:/nowhere", "COMP_WORDS": f"{line} {word}", "COMP_CWORD": str(len(line.split()))}
    ended = run([], _DOMO_OAUTH_COMPLETE="bash_complete", **env)
    assert (ended.status, ended.err) == (0, "")
    assert [each.partition(",")[2] for each in ended.out.split()] == expected
