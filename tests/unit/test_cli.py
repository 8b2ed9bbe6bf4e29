from __future__ import annotations

import json

import pytest
import yaml

from domo_oauth import (
    ConfigurationError,
    InvalidScopeError,
    RateLimitedError,
    ServerError,
    TransportError,
    UnexpectedResponseError,
    cli,
)
from domo_oauth.contract import contract_text


def test_spec_prints_the_document_as_it_was_written(capsys):
    assert cli.main(["spec"]) == 0
    assert capsys.readouterr().out == contract_text()


def test_spec_as_json_says_the_same(capsys):
    assert cli.main(["spec", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == yaml.safe_load(contract_text())


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["verify"], ["record"], ["spec", "extra"]])
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: domo-oauth" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["sandbox", "verify", "record", "spec"])
def test_every_command_has_help_with_examples_and_exit_statuses(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert f"domo-oauth {command}" in shown
    assert "examples:" in shown
    assert "exit status:" in shown


def test_version(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out.startswith("domo-oauth 0.")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigurationError("text"), 2),
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

    monkeypatch.setattr(cli, "_spec", fail)
    assert cli.main(["spec"]) == status
    assert capsys.readouterr().err == "domo-oauth: text\n"


def test_control_c_is_quiet(monkeypatch, capsys):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_spec", interrupt)
    assert cli.main(["spec"]) == 130
    assert capsys.readouterr() == ("", "")


def test_record_needs_credentials(capsys, tmp_path):
    assert cli.main(["record", "--out", str(tmp_path)]) == 2
    assert "DOMO_CLIENT_ID" in capsys.readouterr().err
