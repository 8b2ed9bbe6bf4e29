"""Run domo-oauth inside the libraries that Domo's users work with: what `make ecosystem` runs.

Each `##` section of README.md is a recipe. Its `pip install` line is what the recipe's requirements.txt was locked
from, and its code blocks are written to the files that their titles name. A recipe's check.py runs those files in an
environment of its own, .cache/ecosystem/<recipe>, against a sandbox on loopback. Afterwards all that was written there,
and the command lines of all processes, are searched for secrets and tokens. The table goes to results.md, unless only
some recipes ran.
"""

import argparse
import binascii
import hashlib
import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from domo_oauth.sandbox import Client, Sandbox, running

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PAGE = HERE / "README.md"
RESULTS = HERE / "results.md"
CACHE = ROOT / ".cache" / "ecosystem"
UV = Path(sys.executable).parent / "uv"
CHECK_SECONDS = 600  # so that nothing hangs
COLUMNS = {
    "library": "library",
    "version": "version",
    "python": "Python",
    "calls": "token requests",
    "expired": "token expired",
    "revoked": "token revoked",
    "wrong": "wrong credentials",
    "searched": "searched for secrets and tokens",
    "besides": "checked besides",
    "seconds": "s",
}
HOW = "The [recipes](README.md) say how.\nSeconds are those of a check, without its installation, on two shared cores."
TOKEN = re.compile(rb"eyJ[\w-]{16,}")  # the sandbox's tokens are JSON Web Tokens
BASE64 = re.compile(rb"[\w+/-]{24,}")
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
URL_SAFE = bytes.maketrans(b"-_", b"+/")
WRONG = "wrong-and-not-to-be-shown"  # the secret of calls that must fail


@dataclass
class Recipe:
    """A section of the page."""

    title: str
    text: str
    row: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the recipe's folder."""
        return self.title.lower()

    @property
    def installs(self) -> list[str]:
        """What the section's `pip install` line installs."""
        (line,) = re.findall(r"^pip install (.*)$", self.text, re.MULTILINE)
        return shlex.split(line)

    @property
    def files(self) -> dict[str, str]:
        """The code blocks by the names of their files."""
        return dict(re.findall(r'^```\w+ title="([\w.-]+)"\n(.*?)^```$', self.text, re.MULTILINE | re.DOTALL))

    @property
    def requirements(self) -> Path:
        """The pinned environment."""
        return HERE / self.name / "requirements.txt"


def recipes() -> list[Recipe]:
    """Return the sections of the page that install something."""
    parts = re.split(r"^## (\S+)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = [Recipe(title, text) for title, text in zip(parts[1::2], parts[2::2], strict=True)]
    return [each for each in found if "\npip install " in each.text]


def lock(recipe: Recipe) -> None:
    """Pin the newest versions of what the page installs."""
    wanted = "\n".join(
        re.sub(r"^domo-oauth(\[.*])?$", rf"domo-oauth\1 @ {ROOT.as_uri()}", one) for one in recipe.installs
    )
    options = ["--quiet", "--python-version", "3.11", "--no-emit-index-url", "--no-annotate", "--no-header"]
    options.append("--generate-hashes")
    pinned = execute(UV, "pip", "compile", *options, "--no-emit-package", "domo-oauth", "-", text=wanted)
    recipe.requirements.parent.mkdir(exist_ok=True)
    recipe.requirements.write_text(pinned, encoding="utf-8")
    print(f"{recipe.name}: {pinned.count('==')} packages")


def execute(*command: str | Path, text: str | None = None) -> str:
    """Run a command; return its output. What it says on stderr is shown."""
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True).stdout


def build_wheel() -> Path:
    """Build domo-oauth, as it is here."""
    out = CACHE / "dist"
    shutil.rmtree(out, ignore_errors=True)
    options = ["--no-build-isolation", "--python", sys.executable]
    execute(UV, "build", "--quiet", "--wheel", *options, "--out-dir", out, ROOT)
    (wheel,) = out.glob("*.whl")
    return wheel


def install(recipe: Recipe, wheel: Path) -> Path:
    """Make the recipe's environment, unless it is there, with the wheel of now. Returns its Python."""
    pinned = recipe.requirements.read_text(encoding="utf-8")
    names = {line.partition("==")[0] for line in pinned.splitlines()} | {"domo-oauth"}
    if lacking := {one.partition("[")[0].lower() for one in recipe.installs} - names:
        sys.exit(f"ecosystem: {recipe.name}/requirements.txt lacks {', '.join(lacking)} of the page: run with --lock")
    venv = CACHE / recipe.name / "venv"
    stamp, wanted = venv / ".ready", hashlib.sha256(f"{sys.version}{pinned}".encode()).hexdigest()
    python = venv / "bin" / "python"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        execute(UV, "venv", "--quiet", "--clear", "--python", sys.executable, venv)
        execute(UV, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", recipe.requirements)
        stamp.write_text(wanted, encoding="utf-8")
    execute(UV, "pip", "install", "--quiet", "--python", python, "--no-deps", "--reinstall", wheel)
    return python


def environment(sandbox: Sandbox, venv: Path, work: Path) -> dict[str, str]:
    """The environment of a check: the sandbox, a home of its own, and nobody is told."""
    path = os.pathsep.join([str(venv / "bin"), os.environ["PATH"]])
    quiet = {
        "DO_NOT_TRACK": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    folders = {"HOME": work, "TMPDIR": work / "tmp", "AIRFLOW_HOME": work / "airflow", "DLT_DATA_DIR": work / "dlt"}
    paths = {"PATH": path, "PYTHONPATH": str(HERE / "lib")} | {name: str(folder) for name, folder in folders.items()}
    return (
        paths
        | quiet
        | sandbox.env
        | {"WRONG_SECRET": WRONG, "DOMO_STORE": "none", "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
    )


def check(recipe: Recipe, python: Path, sandbox: Sandbox) -> str:
    """Run a recipe's check. Returns what is wrong; empty if nothing is."""
    work = CACHE / recipe.name / "work"
    shutil.rmtree(work, ignore_errors=True)
    (work / "tmp").mkdir(parents=True)
    for name, text in recipe.files.items():
        (work / name).write_text(text, encoding="utf-8")
    sandbox.reset()
    began = time.monotonic()
    log = work / "output.log"
    with log.open("wb") as output:
        try:
            done = subprocess.run(
                [python, HERE / recipe.name / "check.py"],
                cwd=work,
                env=environment(sandbox, python.parent.parent, work),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=CHECK_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"not done within {CHECK_SECONDS} s"
    recipe.row |= {
        "library": f"[{recipe.title}](README.md#{recipe.name})",
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    recipe.row |= {"seconds": f"{time.monotonic() - began:.0f}"}
    if done.returncode:
        return f"exit status {done.returncode}"
    recipe.row |= json.loads((work / "row.json").read_text(encoding="utf-8"))
    if "NOT ON LOOPBACK" in log.read_text(encoding="utf-8", errors="replace"):
        return "something was sent to another address than loopback"
    written = [path for path in sorted(work.rglob("*")) if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in written)
    recipe.row["searched"] = f"{len(written)} files, {size / 1024:,.0f} KiB: none"
    pair = f"{sandbox.client_id}:{sandbox.client_secret}".encode()
    hidden = {
        "the secret": sandbox.client_secret.encode(),
        "the wrong secret": WRONG.encode(),
        "the Basic credentials": b64encode(pair),
    }
    for path in written:
        contents = list(readings(path.read_bytes()))
        found = [what for what, value in hidden.items() if any(value in content for content in contents)]
        found += ["a token"] if any(map(TOKEN.search, contents)) else []
        if found:
            return f"{path.relative_to(work)} holds {' and '.join(found)}"
    return ""


def readings(content: bytes) -> Iterator[bytes]:
    """What was written, and what it holds in base64 or compressed, as queues and pipelines keep their state."""
    if not content:
        return
    yield content
    for run in BASE64.findall(content):
        with suppress(binascii.Error):
            yield from readings(b64decode(run.translate(URL_SAFE) + b"=" * (-len(run) % 4)))
    with suppress(zlib.error):
        yield from readings(zlib.decompressobj(GZIP_OR_ZLIB).decompress(content))


def table(done: list[Recipe]) -> str:
    """Return the rows as Markdown."""
    rows = [list(COLUMNS.values()), ["---"] * len(COLUMNS)]
    rows += [[each.row.get(name, "") for name in COLUMNS] for each in done]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = recipes()
    names = [each.name for each in known]
    parser.add_argument("recipes", nargs="*", metavar="recipe", help=f"all by default: {', '.join(names)}")
    parser.add_argument("--lock", action="store_true", help="first pin the newest versions")
    arguments = parser.parse_args()
    if unknown := set(arguments.recipes) - set(names):
        parser.error(f"no such recipe: {', '.join(sorted(unknown))}; choose from {', '.join(names)}")
    chosen = [each for each in known if not arguments.recipes or each.name in arguments.recipes]
    if arguments.lock:
        for recipe in chosen:
            lock(recipe)
    wheel, failed = build_wheel(), []
    client = Client(client_id="ecosystem", client_secret=secrets.token_urlsafe(24), scopes=("data", "user"))
    for recipe in chosen:
        python = install(recipe, wheel)
        with running(clients=[client], quiet=True) as sandbox:
            problem = check(recipe, python, sandbox)
        if problem:
            failed.append(recipe.name)
            log = CACHE / recipe.name / "work" / "output.log"
            print(*log.read_text(encoding="utf-8", errors="replace").splitlines()[-60:], sep="\n")
        print(f"{recipe.name}: {problem or 'ok'}, {recipe.row.get('seconds', '?')} s", flush=True)
    print(f"\n{table(chosen)}")
    if failed:
        sys.exit(f"ecosystem: failed: {', '.join(failed)}")
    if not arguments.recipes:
        head = f"# The recipes, run\n\nWritten by `make ecosystem` on {time.strftime('%Y-%m-%d')}. {HOW}\n\n"
        RESULTS.write_text(head + table(chosen), encoding="utf-8")


if __name__ == "__main__":
    main()
