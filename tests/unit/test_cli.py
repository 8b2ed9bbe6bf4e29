from __future__ import annotations

import argparse
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

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
    provider,
)
from domo_oauth.cli import obtain, spec
from domo_oauth.cli import options as options_of_commands
from domo_oauth.cli.parsers import command_parser, whole_parser
from domo_oauth.cli.token import simple_arguments
from domo_oauth.contract import contract_text
from domo_oauth.stores import StoreError
from domo_oauth.stores.file import FileStore
from domo_oauth.stores.redis import RedisStore

MAN = Path(__file__).parents[2] / "man" / "domo-oauth.1"


def test_spec_prints_the_document_as_it_was_written(capsys):
    assert cli.main(["spec"]) == 0
    assert capsys.readouterr().out == contract_text()


def test_spec_as_json_says_the_same(capsys):
    assert cli.main(["spec", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == yaml.safe_load(contract_text())


@pytest.mark.parametrize(
    "arguments", [[], ["no-such-command"], ["verify"], ["record"], ["spec", "extra"], ["token", "--format", "x"]]
)
def test_wrong_usage_ends_with_2(arguments, capsys):
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "usage: domo-oauth" in said.err


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help_with_examples_and_exit_statuses(command, capsys):
    assert cli.main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"domo-oauth {command}" in shown
    assert "examples:" in shown
    assert "exit status:" in shown


CLIENT = {"client_id": None, "client_secret_file": None, "base_url": None, "verbose": False}
ENTRY = CLIENT | {"scope": None, "custom_scope": None}
TOKEN = ENTRY | {"no_store": False, "min_lifetime": None}
OF_CLIENT = (
    "--client-id ID --client-secret-file FILE --base-url URL -v",
    {"client_id": "ID", "client_secret_file": "FILE", "base_url": "URL", "verbose": True},
)
OF_ENTRY = ("--scope data --scope a,b --custom-scope x", {"scope": ["data", "a,b"], "custom_scope": ["x"]})
OF_TOKEN = ("--no-store --min-lifetime 1.5", {"no_store": True, "min_lifetime": 1.5})


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        ("token", TOKEN | {"format": "raw"}),
        ("exec", TOKEN | {"command": []}),
        ("exec -v -- ls -v", TOKEN | {"command": ["--", "ls", "-v"], "verbose": True}),
        ("whoami", TOKEN | {"json": False}),
        ("whoami --json --verbose", TOKEN | {"json": True, "verbose": True}),
        ("forget", ENTRY | {"all": False}),
        ("forget --all", ENTRY | {"all": True}),
        ("login", CLIENT | {"no_check": False}),
        ("login --no-check", CLIENT | {"no_check": True}),
        ("logout", {"base_url": None}),
        ("logout --base-url URL", {"base_url": "URL"}),
        ("doctor", ENTRY | {"json": False}),
        ("doctor --json", ENTRY | {"json": True}),
        ("verify a.har b.har", {"files": [Path("a.har"), Path("b.har")], "strict": False}),
        ("verify --strict a.har", {"files": [Path("a.har")], "strict": True}),
        ("record --out folder", CLIENT | {"out": Path("folder")}),
        ("spec", {"json": False}),
        ("spec --json", {"json": True}),
        ("completion zsh", {"shell": "zsh"}),
        *((f"token --format {form}", TOKEN | {"format": form}) for form in ("json", "header", "env", "curl-config")),
        *(
            (f"{command} {options}", every | values)
            for command, every, given in (
                ("token", TOKEN | {"format": "raw"}, (OF_CLIENT, OF_ENTRY, OF_TOKEN)),
                ("exec", TOKEN | {"command": []}, (OF_CLIENT, OF_ENTRY, OF_TOKEN)),
                ("whoami", TOKEN | {"json": False}, (OF_CLIENT, OF_ENTRY, OF_TOKEN)),
                ("forget", ENTRY | {"all": False}, (OF_CLIENT, OF_ENTRY)),
                ("doctor", ENTRY | {"json": False}, (OF_CLIENT, OF_ENTRY)),
                ("login", CLIENT | {"no_check": False}, (OF_CLIENT,)),
            )
            for options, values in given
        ),
        (
            "sandbox",
            {
                "host": "127.0.0.1",
                "port": 8765,
                "clients": None,
                "scope": None,
                "customer": None,
                "lifetime": 3599,
                "delay": 0.0,
                "validate_responses": False,
            },
        ),
        (
            (
                "sandbox --host ::1 --port 0 --clients FILE --scope data --customer acme --lifetime 60 --delay 0.5 "
                "--validate-responses"
            ),
            {
                "host": "::1",
                "port": 0,
                "clients": "FILE",
                "scope": "data",
                "customer": "acme",
                "lifetime": 60,
                "delay": 0.5,
                "validate_responses": True,
            },
        ),
    ],
)
def test_what_each_command_takes(line, taken):
    command, *arguments = line.split()
    module = import_module(f"domo_oauth.cli.{command}")
    for args in (command_parser(command).parse_args(arguments), whole_parser().parse_args([command, *arguments])):
        assert vars(args) == taken | {"run": module.run}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("token --format x", "argument --format: invalid choice: 'x' (choose from"),
        ("token --min-lifetime soon", "argument --min-lifetime: seconds, such as 600, and not 'soon'"),
        ("token --min-lifetime=-1", "argument --min-lifetime: seconds, such as 600, and not '-1'"),
        ("token --min-lifetime nan", "argument --min-lifetime: seconds, such as 600, and not 'nan'"),
        ("token --min-lifetime inf", "argument --min-lifetime: seconds, such as 600, and not 'inf'"),
        ("completion tcsh", "argument shell: invalid choice: 'tcsh'"),
        ("record", "the following arguments are required: --out"),
        ("verify", "the following arguments are required: FILE"),
        ("", "the following arguments are required: COMMAND"),
        ("no-such-command", "argument COMMAND: invalid choice: 'no-such-command'"),
    ],
)
def test_what_no_command_takes(line, told, capsys):
    assert cli.main(line.split()) == 2
    assert told in capsys.readouterr().err


def test_each_help_says_what_the_command_does(capsys):
    for name, summary in cli.COMMANDS.items():
        parser = command_parser(name)
        assert parser.prog == f"domo-oauth {name}"
        assert parser.description == f"{summary[0].upper()}{summary[1:]}."
        examples = import_module(f"domo_oauth.cli.{name}").EXAMPLES
        assert parser.epilog == f"examples:\n{examples}\n\n{cli.EXIT_STATUSES}"
        assert cli.main([name, "--help"]) == 0
        assert examples in capsys.readouterr().out  # as it was written, line by line


SCOPES = "account audit buzz dashboard data user workflow"


@pytest.mark.parametrize(
    ("shell", "lines"),
    [
        (
            "bash",
            {
                "_shtab_domo_oauth_exec_pos_0_COMPGEN=_domo_oauth_programs": 1,
                '_domo_oauth_programs() { compgen -c -- "$1"; }': 1,
                "_COMPGEN=_shtab_compgen_files\n": 9,
                "_shtab_domo_oauth_record___out_COMPGEN=_shtab_compgen_dirs\n": 1,
                f"___scope_choices=({SCOPES})\n": 6,
                "custom_scope_choices": 0,
            },
        ),
        (
            "zsh",
            {
                ':the command and its arguments:_command_names -e"': 1,
                ':FILE:_files"': 8,
                ':FOLDER:_files -/"': 1,
                f":({SCOPES})": 6,
                "compgen": 0,
            },
        ),
        (
            "fish",
            {
                '-ka "(__fish_complete_command)"': 1,
                '-l out -xka "(__fish_complete_directories)"': 1,
                f'-l scope -xka "{SCOPES}"': 6,
                "compgen": 0,
            },
        ),
    ],
)
def test_the_script_for_a_shell_completes_programs_files_and_scopes(shell, lines, capsys):
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert {line: script.count(line) for line in lines} == lines


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_no_example_has_a_token_among_the_arguments(command):
    examples = import_module(f"domo_oauth.cli.{command}").EXAMPLES
    assert "oauth2-bearer" not in examples + MAN.read_text(encoding="utf-8")


def test_the_help_names_all_commands(capsys):
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert [name for name in cli.COMMANDS if f"\n    {name}" not in shown] == []
    assert "exit status:" in shown


@pytest.mark.parametrize(("columns", "widest"), [("70", 70), ("1000", 100), ("none", 100)])
def test_the_help_is_as_wide_as_the_terminal_but_no_wider_than_can_be_read(columns, widest, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    assert cli.main(["token", "--help"]) == 0
    usage, _, _ = capsys.readouterr().out.partition("client and server:")
    assert widest - 25 < max(map(len, usage.splitlines())) <= widest


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("domo-oauth 0.")


def test_any_stream_will_do(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    assert cli.main(["--version"]) == 0
    assert out.getvalue().startswith("domo-oauth 0.")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigurationError("text"), 2),
        (StoreError("text"), 2),
        (DomoOAuthError("text"), 1),
        (TokenRequestError("text"), 3),
        (InvalidScopeError("text"), 3),
        (ServerError("text"), 4),
        (RateLimitedError("text"), 4),
        (TransportError("text"), 4),
        (UnexpectedResponseError("text"), 5),
    ],
)
def test_an_error_is_one_line_and_an_exit_status(error, status, monkeypatch, capsys):
    def fail(*args):
        raise error

    monkeypatch.setattr(spec, "run", fail)
    assert cli.main(["spec"]) == status
    assert capsys.readouterr().err == "domo-oauth: text\n"


def test_control_c_is_quiet(monkeypatch, capsys):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(spec, "run", interrupt)
    assert cli.main(["spec"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET"])
@pytest.mark.parametrize("command", [["whoami"], ["record", "--out", "folder"]])
def test_one_variable_is_not_enough(command, name, monkeypatch, capsys):
    monkeypatch.setenv(name, "canary")
    assert cli.main(command) == 2
    told = capsys.readouterr().err
    assert f"only {name} is set: set both, or pass --client-id ID" in told
    assert "canary" not in told


def test_record_needs_credentials(capsys, tmp_path):
    assert cli.main(["record", "--out", str(tmp_path)]) == 2
    assert "DOMO_CLIENT_ID" in capsys.readouterr().err


def test_an_error_is_told_once_and_not_by_the_log_besides(wire, monkeypatch, capsys):
    server = wire(b"")
    url = server.url
    server.close()
    monkeypatch.setenv("DOMO_CLIENT_ID", "id")
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "secret")
    monkeypatch.setattr(provider, "Clock", lambda made=provider.Clock: made(sleep=lambda seconds: None))
    assert cli.main(["token", "--base-url", url]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"domo-oauth: GET {url}/oauth/token had no answer: no connection (")
    assert said.err.count("\n") == 1
    provider.forget_tokens()


def test_a_store_of_which_the_library_is_missing_costs_a_warning(domo_sandbox, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setenv("DOMO_STORE", "redis://user:canary-password@127.0.0.1")
    assert cli.main(["token"]) == 0
    assert capsys.readouterr().err.startswith("domo-oauth: Going on without the store: This store needs redis")


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("redis://user:word@127.0.0.1:1/2", "redis"),
        ("valkey://user:word@127.0.0.1:1/2", "redis"),
        ("VALKEY://user:word@127.0.0.1:1/2", "redis"),
        ("rediss://user:word@127.0.0.1:1/2", "rediss"),
        ("valkeys://user:word@127.0.0.1:1/2", "rediss"),
        (" redis://user:word@127.0.0.1:1/2 ", "redis"),
    ],
)
def test_a_store_in_valkey_is_one_in_redis(given, taken, monkeypatch):
    monkeypatch.setenv("DOMO_STORE", given)
    store = options_of_commands.open_store()
    assert isinstance(store, RedisStore)
    _, (url,) = store.__reduce__()
    assert url == f"{taken}://user:word@127.0.0.1:1/2"
    assert repr(store) == "RedisStore('127.0.0.1:1/2', prefix='domo-oauth:')"


def test_a_store_in_redis_behind_a_socket(monkeypatch):
    monkeypatch.setenv("DOMO_STORE", "unix:///run/redis.sock?db=2")
    assert repr(options_of_commands.open_store()) == "RedisStore('/run/redis.sock/2', prefix='domo-oauth:')"


def test_any_other_store_is_a_folder(monkeypatch, tmp_path):
    for given, path in (
        (f"{tmp_path}/redis://x", f"{tmp_path}/redis:/x"),
        (f" {tmp_path} ", str(tmp_path)),
        (f"{tmp_path}/redis", f"{tmp_path}/redis"),
        ("", f"{os.environ['XDG_CACHE_HOME']}/domo-oauth"),
    ):
        monkeypatch.setenv("DOMO_STORE", given)
        store = options_of_commands.open_store()
        assert isinstance(store, FileStore)
        assert options_of_commands.store_name(store) == str(store.path) == path
    assert (
        options_of_commands.store_name(RedisStore("redis://user:word@host"))
        == "RedisStore('host:6379/0', prefix='domo-oauth:')"
    )


@pytest.mark.parametrize("given", ["http://127.0.0.1", "MEMCACHED://user:word@host", "redis+tls://host"])
def test_a_url_of_what_is_no_store(given, monkeypatch):
    monkeypatch.setenv("DOMO_STORE", given)
    with pytest.raises(ConfigurationError) as caught:
        options_of_commands.open_store()
    assert str(caught.value) == (
        "DOMO_STORE is the URL of something that cannot be a store: name a folder, or a Redis or Valkey server by "
        "redis://, rediss://, unix://, valkey://, valkeys://."
    )


def test_forget_tells_what_is_logged_if_asked(domo_sandbox, capsys):
    assert cli.main(["forget", "--verbose"]) == 0
    logging.getLogger("domo_oauth").debug("what a store has to say")
    assert capsys.readouterr().err.endswith("domo-oauth: what a store has to say\n")
    assert cli.main(["forget", "--all", "--verbose"]) == 0


@pytest.mark.parametrize(
    ("name", "told"), [("shtab", "shtab is not installed"), ("keyring", "keyring is not installed")]
)
def test_what_is_missing_is_told(name, told, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, name, None)
    assert cli.main(["completion", "zsh"] if name == "shtab" else ["logout"]) == 2
    assert told in capsys.readouterr().err


def test_a_token_with_a_line_end_is_refused(monkeypatch, domo_sandbox, capsys):
    from domo_oauth import Token
    from domo_oauth.cli import token as command

    def obtained(args):
        real = obtain.obtain(args)
        token = Token("two\nlines", expires_in=1, expires_at=real.token.expires_at)
        return obtain.Obtained(token, real.left, real.origin, real.client, real.base_url)

    monkeypatch.setattr(command, "obtain", obtained)
    assert cli.main(["token", "--no-store"]) == 5
    assert capsys.readouterr().out == ""


LOADED = """
import sys
from domo_oauth.cli import main
assert main(sys.argv[1:]) == 0
print("loaded:", *sys.modules)
"""
HEAVY = {
    "argparse",
    "httpx",
    "keyring",
    "redis",
    "domo_oauth.request",
    "domo_oauth.sandbox",
    "shutil",
    "yaml",
}


def test_a_token_from_the_store_loads_no_more_than_it_needs(domo_sandbox):
    def loaded(*arguments: str) -> set[str]:
        command = [sys.executable, "-P", "-c", LOADED, *arguments]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return set(said.rpartition("loaded:")[2].split())

    assert loaded("token") >= {"httpx", "domo_oauth.request"}
    by_coverage = loaded("--version") & HEAVY if "coverage" in loaded("--version") else set()
    assert loaded("token") & HEAVY <= by_coverage
    assert "domo_oauth.stores.file" not in loaded("spec")


OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]+")


@pytest.mark.parametrize("line", ["", "--scope data", "--format json", "--scope a --format env --scope b,c"])
def test_simple_arguments_are_read_as_argparse_reads_them(line):
    assert vars(simple_arguments(line.split())) == vars(command_parser("token").parse_args(line.split()))


@pytest.mark.parametrize(
    "line",
    [
        *("--scope", "--format x", "--scope -v", "--no-store", "--form raw", "--format=raw", "data x"),
        "--format x --format raw",
    ],
)
def test_all_others_are_left_to_argparse(line):
    assert simple_arguments(line.split()) is None


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {name for action in parser._actions for name in action.option_strings if name.startswith("--")}


def test_the_man_page_names_every_command_and_option():
    text = MAN.read_text(encoding="utf-8").replace("\\-", "-")
    sections = dict(re.findall(r"^\.SS (\S+).*?\n(.*?)(?=^\.S[SH] )", text, re.MULTILINE | re.DOTALL))
    assert list(sections) == list(cli.COMMANDS)
    shared = re.search(r"^\.SH OPTIONS OF THE CLIENT.*?(?=^\.SH )", text, re.MULTILINE | re.DOTALL).group()
    for name in cli.COMMANDS:
        there = set(OPTION.findall(sections[name] + shared))
        assert options(command_parser(name)) - there == set(), name
    named = set(OPTION.findall(text)) - {"--config", "--fail"}  # which are curl's
    known = {option for name in cli.COMMANDS for option in options(command_parser(name))} | {"--version", "--help"}
    assert named - known == set()


def test_the_man_page_has_the_exit_statuses_and_the_environment():
    text = MAN.read_text(encoding="utf-8")
    for line in re.findall(r"^  (\d+)  ", cli.EXIT_STATUSES, re.MULTILINE):
        assert f"\n.TP\n.B {line}\n" in text
    for name in ("DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET", "DOMO_API_URL", "DOMO_STORE", "NO_COLOR"):
        assert f"\n.TP\n.B {name}\n" in text


def test_the_man_page_is_set_without_a_warning():
    if not (shutil.which("man") and shutil.which("groff")):
        pytest.skip("needs man and groff: apt-get install man-db groff")
    command = ["man", "--warnings=w", "--local-file", "--encoding=UTF-8", str(MAN)]
    env = {"PATH": "/usr/bin:/bin", "MANWIDTH": "100", "LC_ALL": "C.UTF-8"}
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert ended.stderr == ""
    assert "domo-oauth" in ended.stdout
