"""Help, wrong usage, completion and exit statuses. No message quotes what may be a secret."""

from __future__ import annotations

import json
import re
import runpy
import sys
from unittest.mock import Mock

import pytest
import yaml

from domo_oauth import (
    ConfigurationError,
    DomoOAuthError,
    InvalidScopeError,
    RateLimitedError,
    ServerError,
    TransportError,
    UnexpectedResponseError,
    cli,
)
from domo_oauth import __main__ as command
from domo_oauth.contract import contract_text
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
    assert set(COMMANDS) <= set(named)
    for name in ("DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET_FILE", "DOMO_API_URL", "DOMO_STORE", "HTTPS_PROXY", "NO_COLOR"):
        assert name in ended.out
    assert "\n    4  temporary: no response (" in ended.out
    assert run("") == (2, "", ended.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples_and_exit_statuses(command, run):
    ended = run([command, "-h"], COLUMNS="200")
    assert (ended.status, ended.err) == (0, "")
    assert max(map(len, ended.out.splitlines())) <= 120
    assert "\n    130, 141  stopped by Ctrl-C" in ended.out
    assert command == "sandbox" or re.search(rf"^  Examples?.*:\n    .*domo-oauth {command}", ended.out, re.MULTILINE)


WRONG = {
    "tokn": "No such command. Did you mean token? See 'domo-oauth --help'.",
    SECRET: "No such command. See 'domo-oauth --help'.",
    "token --fromat raw": "No such option: --fromat. Did you mean --format? See 'domo-oauth token --help'.",
    f"token --client-secret={SECRET}": "No such option: --client-secret. Did you mean --client-id or --client-secr",
    f"token --{SECRET}": "No such option. See",
    f"token {SECRET}": "Unexpected argument. See 'domo-oauth token --help'.",
    f"token --no-store={SECRET}": "Option '--no-store' does not take a value. See",
    f"token --format {SECRET}": "Invalid value for '--format': expected [raw|json|header|env|curl-config]. See",
    "token --min-lifetime=-1": "--min-lifetime must be a number of seconds, zero or more, not -1.0.",
    "whoami --scope dta": "'dta' is not a scope .* Did you mean 'data'? .* pass --custom-scope 'dta'.",
    "token --scope ,": "No scope was given. .* every scope of the client: leave --scope out if you mean that.",
    f"forget --custom-scope {SECRET}": "--scope and --custom-scope take names, such as data.",
    "exec --": "Missing argument '[--] COMMAND...'. See 'domo-oauth exec --help'.",
    f"whoami --base-url https://user:{SECRET}@example.test": "The base URL must not carry a user name or password",
    f"token --client-id id --client-secret-file {SECRET}": "The file of the client secret cannot be read: No ",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_usage_is_one_line_that_quotes_no_secret(line, run, domo):
    status, out, err = run(line)
    assert (status, out, err.count("\n"), SECRET in err) == (2, "", 1, False)
    assert re.match(".*".join(map(re.escape, f"domo-oauth: {WRONG[line]}".split(".*"))), err)
    assert domo.requests == []


@pytest.mark.parametrize("arguments", ["token", ""])
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
    monkeypatch.setattr(cli, "gc", Mock())
    monkeypatch.setattr(cli, "atexit", Mock())
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(command.__file__, run_name="__main__")
    assert ended.value.code == 0
    assert re.fullmatch(r"domo-oauth \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ConfigurationError("text"), 2, "text"),
        (StoreError("text"), 2, "text"),
        (DomoOAuthError("two\nlines\x1b[2J"), 1, "two lines [2J"),
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
    assert json.loads(run("spec --json").out) == yaml.safe_load(contract_text())


def test_verify_prints_what_it_finds_and_ends_with_1(run, tmp_path):
    (tmp_path / "broken.har").write_text("{")
    ended = run(["verify", tmp_path / "broken.har", tmp_path / "nowhere.har"])
    assert (ended.status, ended.err) == (1, "")
    assert ended.out.count(str(tmp_path)) >= 2


def test_record_needs_credentials_before_it_writes_anything(run, tmp_path):
    ended = run(["record", "--out", tmp_path / "out"])
    assert ended.status == 2
    assert "DOMO_CLIENT_ID" in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("line", "word", "expected"),
    [
        ("domo-oauth", "log", ["login", "logout"]),
        ("domo-oauth nonsense", "x", []),
        ("domo-oauth token --format", "c", ["curl-config"]),
        ("domo-oauth whoami --scope", "da", ["dashboard", "data"]),
    ],
)
def test_completion(line, word, expected, run):
    env = {"COMP_WORDS": f"{line} {word}", "COMP_CWORD": str(len(line.split()))}
    ended = run([], _DOMO_OAUTH_COMPLETE="bash_complete", **env)
    assert (ended.status, ended.err) == (0, "")
    assert [each.partition(",")[2] for each in ended.out.split()] == expected


def test_the_completion_script_completes_the_command(run):
    assert "complete --no-files --command domo-oauth" in run("completion fish").out
