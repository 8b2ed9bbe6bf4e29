"""`domo-oauth verify`, `record` and `spec`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from .credentials import find
from .options import client_options, json_option


@click.command
@click.option("--strict", is_flag=True, help="Also fail on fields that the contract does not name.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
def verify(files: tuple[Path, ...], *, strict: bool) -> int:
    """Check recorded exchanges (HAR files) against the contract.

    A HAR file that a browser exported will do. What it leaves out is not checked.

    \b
    Examples:
      domo-oauth verify recording.har
      domo-oauth verify --strict browser-session.har
    """
    from domo_oauth.contract import verify

    return verify(files, strict=strict, out=sys.stdout)


@click.command
@click.option("--out", metavar="FOLDER", required=True, type=click.Path(path_type=Path), help="Where HAR files go.")
@client_options
def record(out: Path, **client: Any) -> int:
    """Record a token and three errors of the endpoint, redacted.

    \b
    Example:
      domo-oauth record --out recordings
    """
    from domo_oauth.contract import record, verify

    found = find(**client)
    return verify(record(found.credentials, out, base_url=found.base_url), out=sys.stdout)


@click.command
@json_option
def spec(*, as_json: bool) -> None:
    """Print the contract, as YAML with comments or as JSON.

    \b
    Example:
      domo-oauth spec > domo-oauth.yaml
    """
    from domo_oauth.contract import contract, contract_text

    text = json.dumps(contract(), indent=2, ensure_ascii=False) + "\n" if as_json else contract_text()
    sys.stdout.buffer.write(text.encode())  # as bytes: UTF-8 with LF, whatever the locale and the system are
