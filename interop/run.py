"""Generate, build and run a client in every language: what `make interop` runs.

Each folder beside this file is one client. The `sh` block of its README is what a team copies and what runs here, in
.cache/interop/<folder>, next to the contract. Comments name its sections: `# generate`, `# build`, `# test` (with the
recordings) and `# run`, which must print expected.txt, and must follow no redirect to another origin. All but the last
are skipped if nothing changed that they depend on, unless --force is given. A README without `# run` is of a language
whose compiler cannot be had here.
"""

import argparse
import dataclasses
import difflib
import functools
import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Literal

import httpx

from domo_oauth.sandbox import Sandbox, running

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CONTRACT = ROOT / "openapi" / "domo-oauth.yaml"
RECORDINGS = ROOT / "openapi" / "recordings"
REQUIREMENTS = HERE / "requirements.txt"  # OpenAPI Generator
PAGE = ROOT / "openapi" / "README.md"
CACHE = ROOT / ".cache" / "interop"
TOOLS = CACHE / "tools"
BEGIN, END = "<!-- interop: begin -->\n", "<!-- interop: end -->\n"
KEPT = {".venv", "build", "target"}  # build tools update these incrementally
PROGRAM_SECONDS, BUILD_SECONDS = 120, 1800  # so that nothing hangs
PATHS: dict[Literal["token", "api"], str] = {"token": "/oauth/token", "api": "/v1/datasets"}
REDIRECTS = ((302, "localhost"), (307, "127.0.0.1"))  # a POST becomes a GET, or stays one
TOKEN_LINES = 2  # in expected.txt: the token and its use; the rest are errors


@dataclasses.dataclass(frozen=True)
class Toolchain:
    """What a client needs on the machine.

    `check` is a shell command that prints its version, or fails if it is missing; `get` says how to install it.
    """

    check: str
    get: str
    required: bool = True


GO = Toolchain("go version", "https://go.dev/dl")
NODE = Toolchain("node --version && npm --version", "apt-get install nodejs npm")
PYTHON = Toolchain("python3 --version && java -version", "apt-get install python3-venv default-jre-headless")
JAVA = Toolchain("java -version && mvn --version", "apt-get install default-jdk-headless maven")
CPP = Toolchain(
    "g++ --version && cmake --version && dpkg-query --show libcpprest-dev && java -version",
    "apt-get install g++ cmake libcpprest-dev default-jre-headless",
)
RUST = Toolchain(
    "cargo --version && pkg-config --modversion openssl",
    "https://rustup.rs, and apt-get install libssl-dev pkg-config",
)
RUBY = Toolchain(
    "ruby -r faraday -r marcel -e 'puts RUBY_DESCRIPTION' && java -version",
    "apt-get install ruby ruby-faraday ruby-marcel default-jre-headless",
)
PHP = Toolchain(
    "php --version && php -r \"require 'GuzzleHttp/autoload.php';\" && java -version",
    "apt-get install php-cli php-curl php-mbstring php-guzzlehttp-guzzle default-jre-headless",
)
CSHARP = Toolchain(
    "mcs --version && mono --version && ls /usr/lib/mono/gac/Newtonsoft.Json /usr/lib/mono/gac/System.Net.Http "
    "/usr/lib/mono/gac/System.Web && java -version",
    "make system, and apt-get install default-jre-headless",
)
GENERATOR_ONLY = Toolchain("java -version", "apt-get install default-jre-headless")
CLIENTS = {
    "curl": Toolchain("curl --version", "apt-get install curl"),
    "go": GO,
    "go-openapi-generator": Toolchain(
        f"{GO.check} && java -version", f"{GO.get}, and apt-get install default-jre-headless"
    ),
    "go-ogen": GO,
    "typescript": NODE,
    "typescript-hey-api": NODE,
    "typescript-kubb": NODE,
    "typescript-orval": NODE,
    "typescript-swagger-typescript-api": NODE,
    "python": PYTHON,
    "ruby": RUBY,
    "php": PHP,
    "csharp": CSHARP,
    "dart": GENERATOR_ONLY,
    "swift": GENERATOR_ONLY,
    "java": JAVA,
    "kotlin": dataclasses.replace(JAVA, required=False),
    "cpp": CPP,
    "rust": RUST,
}


@dataclasses.dataclass
class Result:
    """One row of the table. A step is "yes", "kept" (from the last run), "no", or "" if there is none."""

    folder: str
    language: str
    generator: str
    generated: str = ""
    built: str = ""
    recordings: str = ""
    token: str = ""
    errors: str = ""
    seconds: float = 0.0
    note: str = ""

    @property
    def failed(self) -> bool:
        """Whether a step failed, or the program got no token."""
        return "no" in (self.generated, self.built, self.recordings, self.token, self.errors)


class Player(BaseHTTPRequestHandler):
    """Serves /html/... as an HTML page, /NAME/... as the recording NAME.har, and /sandbox/... from the sandbox.

    Answers of the sandbox lose all headers but `Content-Type` and `Location`, as a proxy may do to `Cache-Control`, and
    their `timestamp` becomes a number, as Spring Boot 1.5 sends it (observed).
    """

    sandbox_url = ""

    def do_GET(self) -> None:
        """Answer."""
        _, name, path = self.path.split("/", 2)
        status, content_type, text = 502, "text/html", "<html><h1>502 Bad Gateway</h1></html>"
        location = ""
        if name == "sandbox":
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            answer = httpx.get(f"{self.sandbox_url}/{path}", headers=headers, trust_env=False, timeout=PROGRAM_SECONDS)
            status, content_type = answer.status_code, answer.headers["Content-Type"]
            location = answer.headers.get("Location", "")
            text = re.sub(r'("timestamp": *)"[^"]*"', r"\g<1>1550586183891", answer.text)
        elif name != "html":
            har = json.loads((RECORDINGS / f"{name}.har").read_text(encoding="utf-8"))
            response = har["log"]["entries"][0]["response"]
            status, content_type = response["status"], response["content"]["mimeType"]
            text = response["content"]["text"]
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
        """Log nothing."""


class Elsewhere(BaseHTTPRequestHandler):
    """Another origin, where redirects lead. It notes each request, and answers as Domo would."""

    noted: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Answer."""
        self.noted.append(
            f"{self.command}, Authorization: {self.headers.get('Authorization', 'none').partition(' ')[0]}"
        )
        token = {"access_token": "elsewhere", "token_type": "bearer", "expires_in": 3599, "scope": "data"}
        body = json.dumps(
            token if self.path.startswith(PATHS["token"]) else [{"id": "1", "name": "Elsewhere"}]
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 -- http.server's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
        """Log nothing."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Generator[int]:
    """Run a server for the duration of the block; yield its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def playing(sandbox_url: str) -> Generator[str]:
    """Run the server of recordings, in front of the sandbox; yield its URL."""
    with serving(type("Player", (Player,), {"sandbox_url": sandbox_url})) as port:
        yield f"http://127.0.0.1:{port}"


def followed(sandbox: Sandbox, program: Callable[[], bool]) -> str:
    """Redirect a program's requests to another host, and to another port of this host.

    `program` runs it and returns whether it got on. Returns what was wrong: it must send nothing there.
    """
    noted: list[str] = []
    wrong: list[str] = []
    with serving(type("Elsewhere", (Elsewhere,), {"noted": noted})) as port:
        for at, (status, host) in itertools.product(PATHS, REDIRECTS):
            sandbox.reset()
            sandbox.fail_next(status, at=at, headers={"Location": f"http://{host}:{port}{PATHS[at]}"})
            got_on, case = program(), f"a redirect of the {at} request, {status} from 127.0.0.1 to {host}, another port"
            if noted:
                wrong.append(f"it followed {case}: {', '.join(noted)}")
                noted.clear()
            elif status not in [each.status for each in sandbox.requests]:
                wrong.append(f"it did not meet {case}")
            elif at == "token" and got_on:
                wrong.append(f"it did not fail at {case}")
    return "; ".join(wrong)


def environment() -> dict[str, str]:
    """The environment of steps: the generator first on PATH, our own Node.js last."""
    path = os.pathsep.join([str(TOOLS / "bin"), os.environ["PATH"], str(Path(sys.executable).parent)])
    # No step may phone home; requests to loopback use no proxy.
    quiet = {"npm_config_update_notifier": "false", "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1"}
    return os.environ | {"PATH": path, "DOMO_RECORDINGS": str(RECORDINGS)} | quiet


@functools.cache
def version(check: str) -> str:
    """Return what the check prints; empty if the toolchain is missing."""
    run = subprocess.run(["/bin/sh", "-c", check], env=environment(), capture_output=True, text=True, check=False)
    return (run.stdout + run.stderr if run.returncode == 0 else "").strip()


def sections(folder: str) -> dict[str, str]:
    """Return the commands of a client's README by section."""
    return commands(readme(folder))


def commands(page: str) -> dict[str, str]:
    """Return the commands of a page's `sh` block by section."""
    (block,) = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    parts = re.split(r"^# (install|generate|build|test|run)\n", block, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def readme(folder: str) -> str:
    """Return the text of a client's README."""
    return (HERE / folder / "README.md").read_text(encoding="utf-8")


def title(folder: str) -> tuple[str, str]:
    """Return language and generator from the README's heading; its version must be the pinned one."""
    language, _, generator = readme(folder).partition("\n")[0].removeprefix("# ").partition(", ")
    pins = REQUIREMENTS.read_text(encoding="utf-8") + "".join(sections(folder).values())
    pins += "".join(path.read_text(encoding="utf-8") for path in sources(folder) if path.name != "README.md")
    for number in re.findall(r"\d+\.\d+\.\d+", generator):
        if number not in pins:
            sys.exit(f"interop: {folder}/README.md names {generator}, but no file in that folder pins {number}")
    return language, generator


def sources(folder: str) -> list[Path]:
    """Return a client's own files."""
    return sorted(path for path in (HERE / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def fingerprint(folder: str) -> str:
    """Return a digest of everything a client is made from, including the toolchain."""
    digest = hashlib.sha256(version(CLIENTS[folder].check).encode())
    inputs = [CONTRACT, *sorted(RECORDINGS.glob("*.har")), REQUIREMENTS, Path(__file__), *sources(folder)]
    for path in inputs:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def prepare(folder: str) -> Path:
    """Copy the client's files and the contract into its folder, cleared except for build caches."""
    work = CACHE / folder
    work.mkdir(parents=True, exist_ok=True)
    for path in work.iterdir():
        if path.is_dir() and path.name not in KEPT:
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()
    if (HERE / folder).exists():
        shutil.copytree(HERE / folder, work, dirs_exist_ok=True)
    shutil.copy2(CONTRACT, work)
    return work


def step(name: str, commands: str, work: Path, seconds: float, more: dict[str, str] | None = None) -> str:
    """Run one section; return what it printed. Raise CalledProcessError if it fails; its log is beside the folder."""
    log = work.with_name(f"{work.name}.log")
    # Files, not pipes: a grandchild that holds a pipe open would outlast the timeout.
    with log.open("a", encoding="utf-8") as errors, (work / ".output").open("w+", encoding="utf-8") as output:
        print(f"== {name}", file=errors, flush=True)
        run = subprocess.run(
            ["/bin/sh", "-e", "-c", commands],
            cwd=work,
            env=environment() | (more or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            timeout=seconds,
            check=False,
        )
        output.seek(0)
        printed = output.read()
        errors.write(printed)
    run.check_returncode()
    return printed


class Runner:
    """Runs the clients."""

    def __init__(self, sandbox: Sandbox, player: str, *, force: bool) -> None:
        """Store the sandbox and the URL of the server of recordings."""
        self._sandbox = sandbox
        self._env = sandbox.env | {
            "DOMO_API_URL": f"{player}/sandbox",
            "DOMO_ERROR_URL": f"{player}/derived-401-full-authentication-required",
            "DOMO_HTML_URL": f"{player}/html",
        }
        self._force = force
        self._alone = threading.Lock()  # one program at a time, so that the sandbox's counts belong to it

    def __call__(self, folder: str) -> Result:
        """Run one client. Its failures are in the result; they raise nothing."""
        result = Result(folder, *title(folder))
        started = time.monotonic()
        try:
            self._run(result)
        except (OSError, subprocess.SubprocessError) as error:
            result.token, result.errors = result.token or "no", result.errors or "no"
            result.note = f"{error} (log: .cache/interop/{folder}.log)"
        result.seconds = round(time.monotonic() - started, 1)
        print(f"{folder}: {result.note or 'as expected'}, {result.seconds} s", flush=True)
        return result

    def _run(self, result: Result) -> None:
        work, steps, digest = CACHE / result.folder, sections(result.folder), fingerprint(result.folder)
        work.with_name(f"{work.name}.log").unlink(missing_ok=True)
        stamp = work / ".stamp"
        kept = not self._force and stamp.exists() and stamp.read_text(encoding="ascii") == digest
        if not kept:
            prepare(result.folder)
        for name, field in (("generate", "generated"), ("build", "built"), ("test", "recordings")):
            if name in steps:
                setattr(result, field, "kept" if kept else "no")
                if not kept:
                    step(name, steps[name], work, BUILD_SECONDS)
                    setattr(result, field, "yes")
        stamp.write_text(digest, encoding="ascii")
        if "run" in steps:
            self._compare(result, self._program(result, steps["run"], work))

    def _program(self, result: Result, commands: str, work: Path) -> list[str]:
        """Run the program and return its lines; note requests outside the contract."""
        with self._alone:
            self._sandbox.reset()
            printed = step("run", commands, work, PROGRAM_SECONDS, self._env)
            if outside := self._sandbox.stats().outside_contract:
                result.note = f"{outside} requests outside the contract"
            html = self._env["DOMO_HTML_URL"]
            if not self._gets_on(commands, work, error_url=html):
                result.note = result.note or "it fails if the URL of the typed error serves an HTML page"
            result.note = result.note or followed(self._sandbox, lambda: self._gets_on(commands, work))
        return printed.splitlines()

    def _gets_on(self, commands: str, work: Path, *, error_url: str = "") -> bool:
        """Run the program; return whether it succeeds. Without a URL of errors, it stops after the DataSets."""
        env = {name: value for name, value in self._env.items() if name != "DOMO_ERROR_URL"}
        try:
            step("run", commands, work, PROGRAM_SECONDS, env | ({"DOMO_ERROR_URL": error_url} if error_url else {}))
        except subprocess.CalledProcessError:
            return False
        return True

    def _compare(self, result: Result, lines: list[str]) -> None:
        expected = (HERE / "expected.txt").read_text(encoding="utf-8").splitlines()
        as_expected = lines[:TOKEN_LINES] == expected[:TOKEN_LINES] and not result.note
        result.token = "yes" if as_expected else "no"
        result.errors = "yes" if lines[TOKEN_LINES:] == expected[TOKEN_LINES:] else "no"
        if lines != expected:
            result.note = "its output differs from expected.txt"
            print("\n".join(difflib.unified_diff(expected, lines, "expected.txt", result.folder, lineterm="")))


def install_generator() -> None:
    """Install OpenAPI Generator into its own environment, unless the pinned version is there."""
    wanted = REQUIREMENTS.read_bytes()
    stamp = TOOLS / "requirements.txt"
    if stamp.exists() and stamp.read_bytes() == wanted:
        return
    shutil.rmtree(TOOLS, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(TOOLS)], check=True)
    pip = [str(TOOLS / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(REQUIREMENTS)], check=True)
    stamp.write_bytes(wanted)


def chosen(names: list[str]) -> list[str]:
    """Return the folders of these languages, or all. `go` includes `go-openapi-generator`."""
    for name in names:
        if not any(is_of(folder, name) for folder in CLIENTS):
            sys.exit(f"interop: unknown language {name}; choose from {', '.join(CLIENTS)}")
    return [folder for folder in CLIENTS if not names or any(is_of(folder, name) for name in names)]


def is_of(folder: str, language: str) -> bool:
    """Whether the folder is a client in that language."""
    return folder == language or folder.startswith(f"{language}-")


def table(results: list[Result], missing: list[str]) -> str:
    """Return the results as Markdown."""
    head = ["language", "generator", "generated", "built", "recordings", "token", "error mapping", "seconds"]
    rows = [[folder, "not run: its toolchain is missing", *[""] * 6] for folder in missing]
    for one in results:
        steps = [one.generated, one.built, one.recordings, one.token, one.errors, f"{one.seconds:.0f}"]
        rows.append([f"[{one.language}](../interop/{one.folder})", one.generator, *steps])
    return "".join(f"| {' | '.join(row)} |\n" for row in [head, ["---"] * len(head), *rows])


def update(path: Path, begin: str, text: str, end: str) -> None:
    """Put text between two markers of a file."""
    before, found, rest = path.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        sys.exit(f"interop: {path} lacks the markers of the table: {begin}{end}")
    path.write_text(f"{before}{begin}{text}{end}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("languages", nargs="*", help="such as `go typescript`; all by default")
    parser.add_argument("--force", action="store_true", help="run all steps, even if nothing changed")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="languages at a time")
    parser.add_argument(
        "--update-readme", action="store_true", help="run all steps and write the table to openapi/README.md"
    )
    arguments = parser.parse_args()
    if arguments.update_readme and arguments.languages:
        parser.error("--update-readme is for all languages")
    folders = chosen(arguments.languages)
    missing = [folder for folder in folders if not version(CLIENTS[folder].check)]
    there = [folder for folder in folders if folder not in missing]
    for folder in missing:
        print(f"{folder}: its toolchain is missing: {CLIENTS[folder].get}")
    if any("openapi-generator-cli" in readme(folder) for folder in there):
        install_generator()
    with (
        running(quiet=True) as sandbox,
        playing(sandbox.env["DOMO_API_URL"]) as player,
        ThreadPoolExecutor(arguments.jobs) as pool,
    ):
        runner = Runner(sandbox, player, force=arguments.force or arguments.update_readme)
        # C++ and Rust take longest, so start with the last.
        results = list(pool.map(runner, reversed(there)))[::-1]
    failed = [one for one in results if one.failed]
    for one in failed:
        log = CACHE / f"{one.folder}.log"
        print(f"\n== {one.folder}: {one.note}", *log.read_text(encoding="utf-8").splitlines()[-40:], sep="\n")
    page = table(results, missing)
    print(f"\n{page}")
    if arguments.update_readme:
        update(PAGE, BEGIN, page, END)
    lacking = [folder for folder in missing if CLIENTS[folder].required and os.environ.get("CI")]
    if failed or lacking:
        sys.exit(f"interop: failed: {', '.join([one.folder for one in failed] + lacking)}")


if __name__ == "__main__":
    main()
