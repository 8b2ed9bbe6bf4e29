"""The commands, and what to say if the arguments are wrong."""

from __future__ import annotations

import os
import re
from copy import copy
from importlib import import_module

import click

from domo_oauth._version import __version__
from domo_oauth.errors import ConfigurationError

from .messages import tell

_NAME = "domo-oauth"
_COMPLETE = "_DOMO_OAUTH_COMPLETE"
"""The variable by which the script of `domo-oauth completion` requests completions."""
_COMMANDS = {
    "token": "domo_oauth.cli.token:token",
    "exec": "domo_oauth.cli.exec:exec_",
    "whoami": "domo_oauth.cli.token:whoami",
    "forget": "domo_oauth.cli.token:forget",
    "login": "domo_oauth.cli.login:login",
    "logout": "domo_oauth.cli.login:logout",
    "doctor": "domo_oauth.cli.doctor:doctor",
    "proxy": "domo_oauth.cli.proxy:proxy",
    "sandbox": "domo_oauth.sandbox.command:command",
    "verify": "domo_oauth.cli.contract:verify",
    "record": "domo_oauth.cli.contract:record",
    "spec": "domo_oauth.cli.contract:spec",
    "completion": "domo_oauth.cli.app:completion",
}
"""Where each command is, in the order of the help."""
_EXIT_STATUSES = """\
\b
Exit status:
  0  done
  1  a check failed, or output could not be written
  2  wrong usage, or something is not set up; nothing was sent
  3  Domo refused the client, its scopes or the request, and would refuse it again
  4  temporary: no response (network, proxy, TLS, timeout), too many requests, or a fault at Domo
  5  a response that breaks the contract
  130, 141  stopped by Ctrl-C, or by a closed pipe"""


class _LazyGroup(click.Group):
    """Imports a command when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's interface
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            if ctx.resilient_parsing:  # while a shell completes the line
                return None
            from difflib import get_close_matches

            near = get_close_matches(cmd_name, _COMMANDS)
            raise ConfigurationError(f"No such command.{_did_you_mean(near)} See '{_NAME} --help'.")
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = copy(getattr(import_module(module), name))
        command.epilog = _EXIT_STATUSES
        return command


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND ...",
    epilog=_EXIT_STATUSES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def app(ctx: click.Context) -> None:
    """Access tokens for Domo's APIs, and the contract of the endpoint that grants them.

    'domo-oauth COMMAND --help' shows the options of a command, and examples.

    \b
    Environment:
      DOMO_CLIENT_ID           the client id
      DOMO_CLIENT_SECRET       the client secret
      DOMO_CLIENT_SECRET_FILE  or a file that holds it
      DOMO_API_URL             where Domo's API is (default: https://api.domo.com)
      DOMO_STORE               where tokens are kept: a folder (/..., ~/..., ./...), redis[s]://...,
                               valkey[s]://... or none (default: a folder in your cache)
      HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR, NO_COLOR
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)


@click.command
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> int:
    """Print a script that makes a shell complete this command.

    \b
    Examples:
      eval "$(domo-oauth completion bash)"      # in ~/.bashrc
      eval "$(domo-oauth completion zsh)"       # in ~/.zshrc, after compinit
      domo-oauth completion fish > ~/.config/fish/completions/domo-oauth.fish
    """
    return _complete(f"{shell}_source")


def run(argv: list[str]) -> int:
    """Run a command, or complete one for a shell, and return the exit status.

    click's own `main` has other exit statuses, and its error messages quote the command line.
    """
    if instruction := os.environ.get(_COMPLETE):
        return _complete(instruction)
    try:
        with app.make_context(_NAME, argv) as ctx:
            return app.invoke(ctx) or 0
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else _NAME
        tell(f"{_problem(error)} See '{path} --help'.")
        return 2


def _complete(instruction: str) -> int:
    from click.shell_completion import shell_complete

    return shell_complete(app, {}, _NAME, _COMPLETE, instruction)


def _problem(error: click.UsageError) -> str:
    """Say what is wrong without values of the command line, which may be secrets."""
    match error:
        case click.NoSuchOption(option_name=name):  # may be a secret that begins with a hyphen
            named = f": {name}" if re.fullmatch(r"--[a-z][a-z-]{,29}", name) else ""
            return f"No such option{named}.{_did_you_mean(error.possibilities)}"
        case click.MissingParameter() | click.BadOptionUsage():
            return error.format_message()  # names the option or argument, and quotes nothing
        case click.BadParameter(param=click.Parameter() as parameter, ctx=click.Context() as ctx):
            return f"Invalid value for {parameter.get_error_hint(ctx)}: expected {parameter.make_metavar(ctx)}."
        case _:
            return "Unexpected argument."


def _did_you_mean(names: list[str] | None) -> str:
    return f" Did you mean {' or '.join(sorted(names))}?" if names else ""
