"""What the command understands: a parser for each command."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from importlib import import_module

from domo_oauth._version import __version__

from . import COMMANDS, EXIT_STATUSES

__all__ = ["command_parser", "whole_parser"]

_WIDEST = 100  # columns


class _Help(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal, but no wider than can be read.

    argparse makes one for each option of a parser, and finds the width out by a module that takes long to import.
    """

    def __init__(self, prog: str) -> None:
        width = 0
        with suppress(ValueError):
            width = int(os.environ.get("COLUMNS", "0"))
        with suppress(OSError):
            width = width or os.get_terminal_size().columns
        super().__init__(prog, width=min(width or _WIDEST, _WIDEST) - 2)


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command."""
    return _fill(argparse.ArgumentParser(prog=f"domo-oauth {name}", formatter_class=_Help), name)


def whole_parser(*, fill: bool = True) -> argparse.ArgumentParser:
    """The parser of all commands.

    Args:
        fill: With the options of each, for which all modules are loaded; else with names and summaries only.
    """
    parser = argparse.ArgumentParser(
        prog="domo-oauth",
        description="Access tokens for Domo's APIs, and the contract of the endpoint that grants them.",
        epilog=f"'domo-oauth COMMAND --help' tells more of each.\n\n{EXIT_STATUSES}",
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"domo-oauth {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, formatter_class=_Help)
        if fill:
            _fill(command, name)
    return parser


def _fill(parser: argparse.ArgumentParser, name: str) -> argparse.ArgumentParser:
    """Let the command's module say what it takes: EXAMPLES, add_arguments(parser) and run(args)."""
    command = import_module(f".{name}", __package__)
    summary = COMMANDS[name]
    parser.description = f"{summary[0].upper()}{summary[1:]}."
    parser.epilog = f"examples:\n{command.EXAMPLES}\n\n{EXIT_STATUSES}"
    command.add_arguments(parser)
    parser.set_defaults(run=command.run)
    return parser
