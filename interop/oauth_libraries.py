"""Run the recipes for standard OAuth libraries: what `make oauth-libraries` runs.

Each `##` section of oauth-libraries/README.md with a `sh` block is a recipe. Its code blocks are written to the files
that their titles name, in .cache/interop/oauth-libraries/<recipe>, beside what its folder locks. Then its commands are
run there, except `# install`, which installs from the lock files. The program calls a sandbox again and again: with a
good token, with one that expires, after a 401 of the API, with a wrong secret, with a secret of special characters, and
with answers that redirect it to another origin, to which it must send nothing. Then it calls the reference server, if
there is a JDK with Maven.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import attrs

from domo_oauth.sandbox import Client, Sandbox, running
from interop import reference, run

HERE = run.HERE / "oauth-libraries"
PAGE = HERE / "README.md"
DOCUMENTS = (run.CONTRACT, HERE / "datasets.yaml")  # of the clients that are generated
BEGIN, END = "<!-- oauth-libraries: begin -->\n", "<!-- oauth-libraries: end -->\n"
PYTHON = run.Toolchain("python3 --version", "apt-get install python3-venv")
TOOLCHAINS = {
    "go": run.GO,
    "go-oapi-codegen": run.GO,
    "go-openapi-generator": run.CLIENTS["go-openapi-generator"],
    "java-spring": run.JAVA,
    "java-nimbus": run.JAVA,
    "node-openid-client": run.NODE,
    "node-simple-oauth2": run.NODE,
    "rust": run.RUST,
    "ruby": run.Toolchain("dpkg-query --show ruby ruby-oauth2", "apt-get install ruby-oauth2"),
    "python-authlib": PYTHON,
    "python-requests-oauthlib": PYTHON,
}
# How to install what a lock file names. The tools of the other languages read theirs when they build.
INSTALL = {
    "package-lock.json": "npm ci --silent",
    "requirements.txt": "uv venv --quiet --clear\nuv pip install --quiet --require-hashes -r requirements.txt",
}
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # JVMs that end after seconds
ENVIRONMENT = {
    "JDK_JAVA_OPTIONS": QUICK,
    "LOGGING_LEVEL_ROOT": "warn",
    "MAVEN_OPTS": QUICK,
    "OAUTHLIB_INSECURE_TRANSPORT": "1",
    "SPRING_MAIN_BANNERMODE": "off",
}
NOISE = "NOTE: Picked up JDK_JAVA_OPTIONS"
DATASETS = [{"id": "1", "name": "Opportunities"}]
PATH = run.PATHS["api"]
SPECIAL = "a+b/c d%e&f=g"  # what form-encoding changes
TOKEN = re.compile(r"eyJ[\w-]{16,}")  # the sandbox's tokens are JSON Web Tokens
COLUMNS = {
    "recipe": "recipe",
    "Library": "library",
    "Needs": "needs, besides the URL",
    "Renews": "renews before expiry",
    "special": "special characters",
    "error": "what a wrong secret shows",
    "reference": "reference server",
    "seconds": "seconds",
}
ERROR_LENGTH = 200  # of what the table shows


class Wrong(Exception):  # noqa: N818 -- what was wrong with a recipe
    """A recipe did something else than its page says."""


@dataclass
class Recipe:
    """A section of the page."""

    title: str
    text: str
    row: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.title.lower().removeprefix("your api in ").replace(", ", "-")

    @property
    def link(self) -> str:
        """To the section."""
        return f"[{self.title}](#{re.sub('[^a-z0-9]+', '-', self.title.lower())})"

    @property
    def facts(self) -> dict[str, str]:
        """What the section's list says, by its bold words."""
        return dict(re.findall(r"^- \*\*(\w+)\*\*: (.+)$", self.text, re.MULTILINE))

    @property
    def steps(self) -> dict[str, str]:
        """The commands by the names of their sections."""
        return run.commands(self.text)

    @property
    def files(self) -> dict[str, str]:
        """The code blocks by the names of their files."""
        return dict(re.findall(r'^```\w+ title="([\w./-]+)"\n(.*?)^```$', self.text, re.MULTILINE | re.DOTALL))

    @property
    def is_generated(self) -> bool:
        """Whether a client is generated."""
        return "generat" in self.steps.get("build", "")

    @property
    def work(self) -> Path:
        """Where it runs."""
        return run.CACHE / "oauth-libraries" / self.name


def recipes() -> list[Recipe]:
    """Return the sections of the page that have commands to run. What it shows of the document must be in there."""
    page, document = PAGE.read_text(encoding="utf-8"), DOCUMENTS[1].read_text(encoding="utf-8")
    for block in re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        if block not in document:
            sys.exit(f"oauth-libraries: {DOCUMENTS[1].name} lacks what the page shows of it:\n{block}")
    parts = re.split(r"^## (.+)\n", page, flags=re.MULTILINE)
    found = [Recipe(title, text) for title, text in zip(parts[1::2], parts[2::2], strict=True)]
    return [each for each in found if "\n# run\n" in each.text]


def build(recipe: Recipe, *, force: bool) -> None:
    """Install and build a recipe, unless nothing changed since the last time."""
    locks, documents = run.sources(f"oauth-libraries/{recipe.name}"), DOCUMENTS if recipe.is_generated else ()
    inputs = [*locks, *documents, run.REQUIREMENTS]
    pins = run.version(TOOLCHAINS[recipe.name].check) + "".join(path.read_text(encoding="utf-8") for path in inputs)
    for number in re.findall(r"\d+(?:\.\d+)+", recipe.facts["Library"] + recipe.steps.get("install", "")):
        if number not in pins:
            raise Wrong(f"the page says {number}, and nothing in {recipe.name}/ pins that version")
    digest, stamp = hashlib.sha256((recipe.text + pins).encode()).hexdigest(), recipe.work / ".stamp"
    if not force and stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return
    recipe.work.with_name(f"{recipe.name}.log").unlink(missing_ok=True)
    run.prepare(f"oauth-libraries/{recipe.name}")
    for path in documents:
        shutil.copy2(path, recipe.work)
    for name, text in recipe.files.items():
        (recipe.work / name).parent.mkdir(parents=True, exist_ok=True)
        (recipe.work / name).write_text(text, encoding="utf-8")
    install = [INSTALL[path.name] for path in locks if path.name in INSTALL]
    for name, commands in [("install", "\n".join(install)), ("build", recipe.steps.get("build", ""))]:
        run.step(name, commands, recipe.work, run.BUILD_SECONDS, ENVIRONMENT)
    stamp.write_text(digest, encoding="ascii")


@dataclass
class Program:
    """A recipe's program and the server that it calls."""

    recipe: Recipe
    variables: dict[str, str]

    def __call__(self, *, calls: int = 2, **variables: str) -> tuple[int, list[str]]:
        """Run it; return its exit status and what it printed. This and its log may hold no secret and no token."""
        work, env = self.recipe.work, run.environment() | ENVIRONMENT | self.variables | variables
        debug = work / "debug.log"
        debug.write_text("")
        env |= {"PYTHONPATH": str(HERE / "debug"), "DEBUG_LOG": str(debug)}
        command = self.recipe.steps["run"].strip() + f" {PATH}" * (calls - 1)
        done = subprocess.run(
            ["/bin/sh", "-e", "-c", command],
            cwd=work,
            env=env | {"PATH": f"{work / '.venv/bin'}{os.pathsep}{env['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=run.PROGRAM_SECONDS,
            check=False,
        )
        with work.with_name(f"{self.recipe.name}.log").open("a", encoding="utf-8") as log:
            log.write(f"== run\n{done.stdout}")
        secret = env["DOMO_CLIENT_SECRET"]
        basic = base64.b64encode(f"{env['DOMO_CLIENT_ID']}:{secret}".encode()).decode()
        shown = done.stdout + debug.read_text(encoding="utf-8")
        if secret in shown or basic in shown or TOKEN.search(shown):
            raise Wrong("it printed or logged a secret or a token")
        return done.returncode, [
            line for line in done.stdout.splitlines() if line.strip() and not line.startswith(NOISE)
        ]


def works(program: Program) -> None:
    """With good credentials it prints what the API answered."""
    status, lines = program()
    if status or [json.loads(line.removeprefix("200 "))[0]["name"] for line in lines] != [DATASETS[0]["name"]] * 2:
        raise Wrong("it did not print the DataSets twice")


def refused(program: Program) -> str:
    """With a wrong secret it fails, with the error that the page names. Returns the line that shows it."""
    status, lines = program(calls=1, DOMO_CLIENT_SECRET=secrets.token_hex(32))
    expected = program.recipe.facts["Error"].strip("`")
    if not status or not (shown := next((line for line in reversed(lines) if expected in line), "")):
        raise Wrong(f"a wrong secret does not show {expected}")
    return re.sub(r"https?://[\w.:]+", "$DOMO_API_URL", shown[shown.index(expected) :].strip())


def check(recipe: Recipe, sandbox: Sandbox, client: Client) -> None:
    """Run a recipe's program in every case; fill its row."""
    program = Program(recipe, sandbox.env)

    def prepare(**settings: int) -> None:
        sandbox.reset()
        sandbox.datasets = DATASETS
        sandbox.lifetime = settings.get("lifetime", 3599)

    prepare()
    works(program)
    asked, *called = sandbox.requests
    if [(asked.method, asked.scope, asked.status)] + [each.path for each in called] != [
        ("POST", "data", 200),
        PATH,
        PATH,
    ]:
        raise Wrong("it did not ask for one token with the scope data by POST, and call the API twice")
    prepare(lifetime=1)
    sandbox.fail_next(200, at="api", times=2, body=DATASETS)  # whether the token is still good does not matter here
    works(program)
    if sandbox.stats().tokens_issued < 2:  # noqa: PLR2004 -- the calls
        raise Wrong("it did not ask for another token before the first expired")
    prepare()
    sandbox.fail_next(401, at="api")
    status, lines = program()
    if status or [line[:3] for line in lines] != ["401", "200"] or sandbox.stats().tokens_issued != len(lines):
        raise Wrong("after a 401 from the API, it did not ask for another token")
    prepare()
    recipe.row["error"] = f"`{shortened(refused(program))}`"
    if sandbox.stats().invalid_client != 1:
        raise Wrong("it repeated the request with the wrong secret")
    sandbox.add_client(attrs.evolve(client, client_secret=SPECIAL))
    status, _ = program(calls=1, DOMO_CLIENT_SECRET=SPECIAL)
    recipe.row["special"] = "changed" if status else "sent as they are"
    sandbox.add_client(client)
    if wrong := run.followed(sandbox, lambda: program(calls=1)[0] == 0):
        raise Wrong(wrong)


def check_reference(recipe: Recipe, url: str) -> None:
    """Run a recipe's program against the reference server; fill its row."""
    client = reference.credentials()
    names = ("DOMO_API_URL", "DOMO_CLIENT_ID", "DOMO_CLIENT_SECRET")
    program = Program(recipe, dict(zip(names, (url, client.client_id, client.client_secret), strict=True)))
    works(program)
    refused(program)
    recipe.row["reference"] = "yes"


def shortened(text: str) -> str:
    """Return text for a cell of a table in Markdown."""
    return (text[:ERROR_LENGTH] + "…" if len(text) > ERROR_LENGTH else text).replace("|", "\\|")


def is_chosen(recipe: Recipe, names: list[str]) -> bool:
    """Whether the recipe, or its language, is among the names; all are if there are none."""
    return not names or any(run.is_of(recipe.name, name) for name in names)


class Runner:
    """Runs the recipes."""

    def __init__(self, sandbox: Sandbox, client: Client, reference_url: str, *, force: bool) -> None:
        """Store the servers, and the sandbox's client."""
        self._sandbox = sandbox
        self._reference_url = reference_url
        self._client = client
        self._force = force
        self._alone = threading.Lock()  # one program at a time, so that the sandbox's counts belong to it

    def __call__(self, recipe: Recipe) -> bool:
        """Build and run a recipe; return whether all was as the page says."""
        began, problem, waited = time.monotonic(), "", 0.0
        try:
            build(recipe, force=self._force)
            built = time.monotonic()
            with self._alone:
                waited = time.monotonic() - built
                check(recipe, self._sandbox, self._client)
                if self._reference_url:
                    check_reference(recipe, self._reference_url)
        except (Wrong, OSError, ValueError, subprocess.SubprocessError) as error:
            problem = str(error)
        seconds = f"{time.monotonic() - began - waited:.0f}"
        recipe.row |= {"recipe": recipe.link, "seconds": seconds}
        print(f"{recipe.name}: {problem or 'as expected'}, {seconds} s", flush=True)
        if problem and (log := recipe.work.with_name(f"{recipe.name}.log")).exists():
            print(*log.read_text(encoding="utf-8").splitlines()[-40:], sep="\n")
        return not problem


def table(done: list[Recipe]) -> str:
    """Return the rows as Markdown."""
    rows = [list(COLUMNS.values()), ["---"] * len(COLUMNS)]
    rows += [[(each.facts | each.row).get(name, "") for name in COLUMNS] for each in done]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = recipes()
    parser.add_argument("libraries", nargs="*", help="such as `go node`; all by default")
    parser.add_argument("--force", action="store_true", help="build even if nothing changed")
    parser.add_argument("--update-readme", action="store_true", help="build all and write the table to the page")
    arguments = parser.parse_args()
    for name in arguments.libraries:
        if not any(run.is_of(each.name, name) for each in known):
            parser.error(f"no such library: {name}; choose from {', '.join(each.name for each in known)}")
    if arguments.update_readme and arguments.libraries:
        parser.error("--update-readme is for all libraries")
    chosen = [each for each in known if is_chosen(each, arguments.libraries)]
    missing = [each for each in chosen if not run.version(TOOLCHAINS[each.name].check)]
    for each in missing:
        print(f"{each.name}: its toolchain is missing: {TOOLCHAINS[each.name].get}")
    client = Client(client_id=str(uuid.uuid4()), client_secret=secrets.token_hex(32), scopes=("data", "user"))
    if any("openapi-generator-cli" in each.text for each in chosen if each not in missing):
        run.install_generator()
    with (
        running(clients=[client], quiet=True) as sandbox,
        reference.running() if run.version(run.JAVA.check) else nullcontext("") as reference_url,
        ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool,
    ):
        runner = Runner(sandbox, client, reference_url, force=arguments.force or arguments.update_readme)
        there = [each for each in chosen if each not in missing]
        # Rust takes longest, so start with the last.
        failed = [
            each.name for each, passed in zip(there[::-1], pool.map(runner, there[::-1]), strict=True) if not passed
        ]
    page = table(there)
    print(f"\n{page}")
    if arguments.update_readme:
        run.update(PAGE, BEGIN, page, END)
    if failed or (missing and os.environ.get("CI")):
        sys.exit(f"oauth-libraries: failed: {', '.join(failed + [each.name for each in missing])}")


if __name__ == "__main__":
    main()
