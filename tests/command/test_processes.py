"""The command as a process: pipes, terminals, signals, shells and what it passes on."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command.answers import TOKEN, granted

PATIENCE = 60.0
"""Seconds, far more than anything takes, after which a test fails that would wait for ever."""
COMMAND = str(Path(sys.executable).with_name("domo-oauth"))
LOADED = "import sys; from domo_oauth.cli import main; main(sys.argv[1:]); print(*sys.modules)"


def process(*arguments: object, **more) -> subprocess.CompletedProcess[str]:
    command = [COMMAND, *map(str, arguments)]
    more = {"stdin": subprocess.DEVNULL, "stdout": -1, "stderr": -1} | more
    return subprocess.run(command, text=True, check=False, timeout=PATIENCE, **more)


def sh(script: str, shell: str = "sh", **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run([shell, "-c", script], capture_output=True, text=True, check=False, timeout=PATIENCE, **more)


def needs(*programs: str) -> None:
    if missing := [program for program in programs if not shutil.which(program)]:
        pytest.skip(f"needs {' and '.join(missing)}: apt-get install {' '.join(missing)}")


def test_a_token_from_the_store_loads_no_more_than_it_needs(run, domo):
    run("token")
    said = subprocess.run([sys.executable, "-c", LOADED, "token"], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"{TOKEN}\n")
    assert len(domo.requests) == 1
    loaded = set(said.split()) & {"httpx", "httpcore", "keyring", "redis", "filelock", "yaml", "domo_oauth.request"}
    assert loaded <= ({"httpx"} if "coverage" in said.split() else set())


@pytest.mark.slow
@pytest.mark.parametrize("line", ["token", "whoami", "spec", "spec --json", "--help", "doctor", "completion bash"])
def test_output_that_cannot_be_written(line, domo):
    full, told = Path("/dev/full"), "domo-oauth: Standard output cannot be used: No space left on device.\n"
    if full.exists():
        with full.open("wb") as nowhere:
            ended = process(*line.split(), stdout=nowhere)
            assert (ended.returncode, ended.stderr) == (1, told)
            assert process(*line.split(), stdout=nowhere, stderr=nowhere).returncode == 1  # where even that fails
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        ended = process(*line.split(), stdout=closed)
    assert (ended.returncode, ended.stderr) == (141, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "status", "out", "err"),
    [
        ("token --no-store >&-", 1, "", "domo-oauth: Standard output cannot be used: Bad file descriptor.\n"),
        ("token --no-store 2>&-", 0, f"{TOKEN}\n", ""),
        ("token --no-store <&-", 0, f"{TOKEN}\n", ""),
        ("token --scope x 2>&-", 2, "", ""),  # the message goes nowhere else
        ("token --scope x 2>/dev/full", 2, "", ""),
    ],
)
def test_streams_that_are_closed(script, status, out, err, domo):
    ended = sh(f"exec {COMMAND} {script}")
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, out, err)


@pytest.mark.slow
def test_output_is_utf_8_or_escaped_whatever_the_locale(domo):
    domo.answer = granted(customer="Müller")
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    assert "M\\xfcller" in process("whoami", env=env).stdout
    assert "“" in process("spec", env=env).stdout or process("spec", env=env).returncode == 0


@pytest.mark.slow
def test_the_bare_environment_of_cron(domo, secret_file, tmp_path):
    arguments = f"--client-id id --client-secret-file {secret_file} --base-url {domo.url}"
    ended = sh(f"env -i HOME={tmp_path} PATH=/usr/bin:/bin {COMMAND} token {arguments}")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{TOKEN}\n", "")
    assert list((tmp_path / ".cache" / "domo-oauth").iterdir())
    ended = sh(f"env -i HOME=/proc/nowhere PATH=/usr/bin:/bin {COMMAND} token {arguments}")  # cannot be written to
    assert (ended.returncode, ended.stdout) == (0, f"{TOKEN}\n")
    assert ended.stderr.startswith("domo-oauth: Going on without the store FileStore(")


@pytest.mark.slow
def test_two_at_once_make_one_request(domo):
    domo.then = "close"
    both = [subprocess.Popen([COMMAND, "token"], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert {each.communicate(timeout=PATIENCE)[0] for each in both} == {f"{TOKEN}\n"}
    assert len(domo.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "fish"])
def test_shells_evaluate_a_token_and_nothing_else(shell, domo):
    needs(shell)
    # As a program sees it that the shell starts. fish has its own syntax for what the others write as $(...).
    show = 'sh -c \'printf "<%s>" "$DOMO_ACCESS_TOKEN"\''
    evaluate = "eval ({})" if shell == "fish" else 'eval "$({})"'
    assert sh(f"{evaluate.format(f'{COMMAND} token --format env')}; {show}", shell).stdout == f"<{TOKEN}>"
    domo.answer = granted("x';touch${IFS}hacked;'")
    ended = sh(f"{evaluate.format(f'{COMMAND} token --no-store --format env')}; {show}", shell, cwd=os.environ["HOME"])
    assert ended.stdout == "<>"
    assert not Path(os.environ["HOME"], "hacked").exists()


@pytest.mark.slow
def test_curl_and_make_take_a_token(domo, tmp_path):
    needs("bash", "curl", "make")
    sh(f"curl --silent --config <({COMMAND} token --format curl-config) {domo.url}/v1/datasets", "bash")
    assert f"\r\nAuthorization: Bearer {TOKEN}\r\n".encode() in domo.requests[-1]
    (tmp_path / "Makefile").write_text(f"TOKEN := $(shell {COMMAND} token)\nall:\n\t@echo '$(TOKEN)'\n")
    assert sh(f"make -s -C {tmp_path}").stdout == f"{TOKEN}\n"


@pytest.mark.slow
@pytest.mark.parametrize(("path", "redirection"), [("-", "<FILE"), ("/dev/stdin", "<FILE"), ("/dev/fd/9", "9<FILE")])
def test_a_command_of_exec_cannot_read_the_secret_again(path, redirection, domo, secret_file):
    needs("python3")
    redirection = redirection.replace("FILE", str(secret_file))
    read = "import os\nfor n in range(20):\n try: os.lseek(n, 0, 0); print(os.read(n, 99))\n except OSError: pass"
    assert "file-secret" in sh(f"exec python3 -c '{read}' {redirection}").stdout
    ended = sh(f"exec {COMMAND} exec --client-secret-file {path} -- python3 -c '{read}' {redirection}")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "file-secret" not in ended.stdout


@pytest.mark.slow
def test_exec_passes_on_the_token_signals_and_status_but_no_secret(domo, tmp_path):
    running = subprocess.Popen(
        [COMMAND, "exec", "--", "sh", "-c", "echo ready; read line; exit 7"], stdin=-1, stdout=-1
    )
    assert running.stdout.readline() == b"ready\n"
    if (proc := Path(f"/proc/{running.pid}")).exists():
        environment = proc.joinpath("environ").read_bytes().decode().split("\0")
        assert [line for line in environment if line.startswith("DOMO_")] == [
            f"DOMO_API_URL={domo.url}",
            f"DOMO_ACCESS_TOKEN={TOKEN}",
        ]
        assert TOKEN.encode() not in proc.joinpath("cmdline").read_bytes()
    running.communicate(b"\n", timeout=PATIENCE)
    assert running.returncode == 7
    for name in ("TERM", "INT", "PIPE"):
        ended = process("exec", "--", "sh", "-c", f"kill -{name} $$; sleep 0")
        assert ended.returncode == -signal.Signals[f"SIG{name}"]


# A process of its own session, with the terminal as its own, as a shell would start it.
START = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A process at a terminal of its own, and what it shows there."""

    def __init__(self, *command: str, env: dict[str, str] | None = None, stdout: int | None = None) -> None:
        self._master, self._slave = os.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, *command],
            env=os.environ | {"TERM": "xterm"} | (env or {}),
            stdin=self._slave,
            stdout=self._slave if stdout is None else stdout,
            stderr=self._slave,
        )
        self.shown = ""

    def until(self, text: str) -> None:
        while text not in self.shown:
            assert select.select([self._master], [], [], PATIENCE)[0], f"{text!r} is not in {self.shown!r}"
            self.shown += os.read(self._master, 1024).decode()

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._slave)[3] & termios.ECHO)

    def end(self) -> int:
        """Wait for its end, and read the rest."""
        status = self.process.wait(PATIENCE)
        os.set_blocking(self._master, False)
        with contextlib.suppress(OSError):  # there is no more
            while more := os.read(self._master, 65536):
                self.shown += more.decode()
        return status

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    with contextlib.ExitStack() as stack:

        def start(*command: str, **more) -> Terminal:
            started = Terminal(*command, **more)
            stack.callback(started.close)
            return started

        yield start


@pytest.mark.slow
def test_the_secret_is_asked_for_without_echo(domo, terminal, tmp_path, monkeypatch):
    monkeypatch.delenv("DOMO_CLIENT_SECRET")
    with (tmp_path / "out").open("wb") as out:
        asked = terminal(COMMAND, "token", "--client-id", "id", stdout=out.fileno())
        asked.until("Client secret: ")
        assert not asked.echoes()
        asked.type("canary-secret\n")
        assert asked.end() == 0
    assert asked.shown.strip() == "Client secret:"
    assert asked.echoes()
    assert (tmp_path / "out").read_text() == f"{TOKEN}\n"


@pytest.mark.slow
@pytest.mark.parametrize(("key", "status", "told"), [("\x03", 130, ""), ("\x04", 2, "No client secret was given.")])
def test_control_c_and_control_d_at_the_prompt(key, status, told, domo, terminal, monkeypatch):
    monkeypatch.delenv("DOMO_CLIENT_SECRET")
    asked = terminal(COMMAND, "token")
    asked.until("Client secret: ")
    asked.type(key)
    assert asked.end() == status
    assert asked.echoes()
    assert told in asked.shown
    assert "Traceback" not in asked.shown


@pytest.mark.slow
@pytest.mark.parametrize("line", ["token --no-store -v", "doctor"])
def test_control_c_ends_a_request_quietly(line, domo, terminal):
    domo.answer, domo.then = b"", "hang"
    asking = terminal(COMMAND, *line.split())
    while not domo.requests:
        assert asking.process.poll() is None
    asking.type("\x03")
    assert asking.end() == 130
    assert "Traceback" not in asking.shown


@pytest.mark.slow
def test_doctor_is_colored_at_a_terminal(domo, terminal):
    shown = terminal(COMMAND, "doctor")
    assert shown.end() == 0
    assert "\x1b[32mok\x1b[0m   versions" in shown.shown


LINES = [
    ("domo-oauth log", {"login", "logout"}),
    ("domo-oauth token --form", {"--format"}),
    ("domo-oauth token --format c", {"curl-config"}),
    ("domo-oauth token --scope da", {"dashboard", "data"}),
    ("domo-oauth completion z", {"zsh"}),
    ("domo-oauth exec -- domo-oa", {"domo-oauth"}),
    ("domo-oauth token --client-secret-file FILE", {"secret-of-mine"}),
]
SET_UP = {
    "bash": (["bash", "--norc", "-i"], 'eval "$(domo-oauth completion bash)"', "\t\t"),
    "zsh": (["zsh", "-f", "-i"], 'autoload -U compinit && compinit -u -D && eval "$(domo-oauth completion zsh)"', "\t"),
}


@pytest.mark.slow
@pytest.mark.parametrize("shell", SET_UP)
def test_bash_and_zsh_complete(shell, terminal, tmp_path, monkeypatch):
    needs(shell)
    (tmp_path / "secret-of-mine").touch()
    monkeypatch.setenv("PATH", f"{Path(COMMAND).parent}:{os.environ['PATH']}")
    command, set_up, tab = SET_UP[shell]
    started = terminal(*command, env={"HOME": str(tmp_path), "TERM": "dumb"})
    started.type(f"{set_up}; print=rea; echo ${{print}}dy\n")
    started.until("ready\r\n")
    for line, expected in LINES:
        started.shown = ""
        started.type(line.replace("FILE", f"{tmp_path}/secret-of") + tab)
        for each in expected:  # a single one is put into the line, several are listed
            started.until(each)
        started.type("\x15")


@pytest.mark.slow
def test_fish_completes(tmp_path, monkeypatch):
    needs("fish")
    (tmp_path / "secret-of-mine").touch()
    monkeypatch.setenv("PATH", f"{Path(COMMAND).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    for line, expected in LINES:
        ask = line.replace("FILE", f"{tmp_path}/secret-of")
        said = sh(f"domo-oauth completion fish | source; complete -C '{ask}'", "fish").stdout
        assert expected <= {each.split("\t")[0].rpartition("/")[2] for each in said.splitlines()}, line
