"""``domo-oauth completion``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from domo_oauth.errors import ConfigurationError
from domo_oauth.scopes import Scope

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

__all__ = ["EXAMPLES", "add_arguments", "run"]

EXAMPLES = """\
  eval "$(domo-oauth completion bash)"      # in ~/.bashrc
  eval "$(domo-oauth completion zsh)"       # in ~/.zshrc, after compinit
  domo-oauth completion fish > ~/.config/fish/completions/domo-oauth.fish"""

_PROGRAMS = {"bash": "_domo_oauth_programs", "zsh": "_command_names -e", "fish": "(__fish_complete_command)"}
_BASH = '_domo_oauth_programs() { compgen -c -- "$1"; }'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the argument."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell it is for")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    try:
        import shtab
    except ModuleNotFoundError:
        raise ConfigurationError("shtab is not installed here: pip install 'domo-oauth[cli]'") from None
    from .parsers import whole_parser

    parser = whole_parser()
    for action in _actions(parser):
        match action.metavar:
            case "FILE":
                action.complete = shtab.FILE
            case "FOLDER":
                action.complete = shtab.DIRECTORY
            case "-- COMMAND":
                action.complete = _PROGRAMS
            case _ if action.dest == "scope" and action.nargs is None:
                action.choices = [str(scope) for scope in Scope]
            case _:
                pass
    print(shtab.complete(parser, args.shell, preamble=_BASH if args.shell == "bash" else ""))
    return 0


def _actions(parser: Any) -> Iterator[Any]:
    """The arguments of a parser and of those below it, which argparse has no public name for."""
    for action in parser._actions:  # noqa: SLF001
        yield action
        commands: dict[str, Any] = getattr(action, "_name_parser_map", {})
        for command in commands.values():
            yield from _actions(command)
