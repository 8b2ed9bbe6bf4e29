"""Run every stable client generator of OpenAPI Generator on the contract: what `make interop-generators` runs.

Nothing is compiled. Each must exit with 0, write files, and not complain about the contract, apart from the lines in
KNOWN. Skipped if nothing changed since all of them passed.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from interop.run import CACHE, CONTRACT, REQUIREMENTS, environment, install_generator

STAMP = CACHE / "generators.sha256"
# Complaints that are not about the contract, each with its reason.
KNOWN = {
    r"Identifier 'Pragma' is a reserved word": "ada: renames the header",
    r"Error \(reserved word .* Renamed to VarError": "powershell: renames the field",
    r"ApplicationJson cannot be used as a model name": "rust: the media type, in its documentation",
    r"generateGMocksForApis": "cpp-restsdk: a default of its own",
    r"Unregistered helper name": "gdscript: its own templates",
    r"Model getAccessToken_grant_type_parameter promoted to its own schema": "scala-http4s: enums are schemas there",
    # `additionalProperties: true` allows values of any type, which these generators cannot name.
    r"No Type defined for Additional Schema": "haskell-http-client",
    r"Type null not handled properly in toExampleValue": "c",
    r"Failed to get the schema name: null": "python",
}


@dataclass(frozen=True)
class Result:
    """What one generator did: the number of files it wrote, and its complaints that are not in KNOWN."""

    generator: str
    files: int
    complaints: list[str]


def clients() -> list[str]:
    """Return the names of the stable client generators."""
    command = ["openapi-generator-cli", "list", "--include", "stable"]
    listed = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout
    (section,) = re.findall(r"^CLIENT generators:\n(.*?)\n\n", listed, re.MULTILINE | re.DOTALL)
    return re.findall(r"^ +- ([\w-]+)", section, re.MULTILINE)


def generate(generator: str) -> Result:
    """Run one generator in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="generator-", dir=CACHE) as folder:
        command = ["openapi-generator-cli", "generate", "-g", generator, "-i", str(CONTRACT), "-o", folder]
        run = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300, check=False)
        files = sum(path.is_file() for path in Path(folder).rglob("*"))
    lines = [line for line in (run.stdout + run.stderr).splitlines() if re.search(r"\b(WARN|ERROR)\b", line)]
    complaints = [line for line in lines if not any(re.search(known, line) for known in KNOWN)]
    if run.returncode:
        complaints.append(f"exited with status {run.returncode}")
    if not files:
        complaints.append("wrote nothing")
    return Result(generator, files, complaints)


def main() -> None:
    inputs = [CONTRACT, REQUIREMENTS, Path(__file__)]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in inputs)).hexdigest()
    if STAMP.exists() and STAMP.read_text(encoding="ascii") == digest:
        print("generators: nothing changed")
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    install_generator()
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        results = list(pool.map(generate, clients()))
    page = "| generator | files | complaints about the contract |\n| --- | --- | --- |\n"
    page += "".join(f"| {one.generator} | {one.files} | {'; '.join(one.complaints) or 'none'} |\n" for one in results)
    print(page)
    if bad := [one.generator for one in results if one.complaints]:
        sys.exit(f"generators: {len(bad)} of {len(results)} complain: {', '.join(bad)}")
    STAMP.write_text(digest, encoding="ascii")
    print(f"generators: all {len(results)} generate without a complaint about the contract")


if __name__ == "__main__":
    main()
