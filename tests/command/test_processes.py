"""The command as a process: pipes, terminals, signals, shells and what it passes on."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import Self

import pytest

from tests.command.conftest import TOKEN, granted
from tests.fakes import PATIENCE

COMMAND = str(Path(sys.executable).with_name("domo-oauth"))
LOADED = "import sys; from domo_oauth.cli import main; main(sys.argv[1:]); print(*sys.modules)"
UNUSED = {"httpx", "httpcore", "keyring", "redis", "filelock", "yaml", "domo_oauth.request"}


def sh(script: str, shell: str = "sh", **more) -> subprocess.CompletedProcess[str]:
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}: apt-get install {shell}")
    return subprocess.run([shell, "-c", script], capture_output=True, text=True, check=False, timeout=PATIENCE, **more)


def test_a_token_from_the_store_loads_no_more_than_it_needs(run, domo):
    run("token")
    printed = subprocess.run([sys.executable, "-c", LOADED, "token"], capture_output=True, text=True, check=True).stdout
    assert printed.startswith(f"{TOKEN}\n")
    assert len(domo.requests) == 1
    loaded = set(printed.split()) & UNUSED
    assert loaded <= ({"httpx"} if "coverage" in printed.split() else set())


@pytest.mark.slow
@pytest.mark.parametrize("line", ["token", "spec", "--help"])
def test_output_that_cannot_be_written(line, domo):
    if Path("/dev/full").exists():
        ended = sh(f"{COMMAND} {line} >/dev/full")
        told = "domo-oauth: Standard output cannot be used: No space left on device.\n"
        assert (ended.returncode, ended.stderr) == (1, told)
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([COMMAND, *line.split()], stdout=writer, stderr=-1, check=False, timeout=PATIENCE)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "status", "out", "err"),
    [
        ("token >&-", 1, "", "domo-oauth: Standard output cannot be used: Bad file descriptor.\n"),
        ("token <&- 2>&-", 0, f"{TOKEN}\n", ""),
        ("token --scope x 2>&-", 2, "", ""),  # the message goes nowhere else
        ("token --scope x 2>/dev/full", 2, "", ""),
    ],
)
def test_streams_that_are_closed(line, status, out, err, domo):
    ended = sh(f"exec {COMMAND} {line}")
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, out, err)


@pytest.mark.slow
def test_the_bare_environment_of_cron(domo, secret_file, tmp_path):
    domo.answer = granted(customer="Müller")
    line = f"{COMMAND} whoami --client-id id --client-secret-file {secret_file} --base-url {domo.url}"
    ended = sh(f"env -i LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 HOME={tmp_path} PATH=/usr/bin:/bin {line}")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "M\\xfcller" in ended.stdout
    assert list((tmp_path / ".cache" / "domo-oauth").iterdir())
    ended = sh(f"env -i HOME=/proc/nowhere PATH=/usr/bin:/bin {line}")  # cannot be written to
    assert ended.returncode == 0
    assert ended.stderr.startswith("domo-oauth: Continuing without the store FileStore(")


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "fish"])
def test_shells_evaluate_a_token_and_nothing_else(shell, domo, tmp_path):
    # As a program sees it that the shell starts. fish has its own syntax for what the others write as $(...).
    show = 'sh -c \'printf "<%s>" "$DOMO_ACCESS_TOKEN"\''
    evaluate = "eval ({})" if shell == "fish" else 'eval "$({})"'
    assert sh(f"{evaluate.format(f'{COMMAND} token --format env')}; {show}", shell).stdout == f"<{TOKEN}>"
    domo.answer = granted("x';touch${IFS}hacked;'")
    ended = sh(f"{evaluate.format(f'{COMMAND} token --no-store --format env')}; {show}", shell, cwd=tmp_path)
    assert ended.stdout == "<>"
    assert not (tmp_path / "hacked").exists()


READ_FILES = """
import os
for number in range(20):
    try:
        os.lseek(number, 0, 0)
        print(os.read(number, 99))
    except OSError:
        pass
"""


@pytest.mark.slow
@pytest.mark.parametrize(("path", "redirection"), [("-", "<"), ("/dev/fd/9", "9<"), ("/dev/fd/9", "9<secret 8<")])
def test_a_command_of_exec_cannot_read_the_secret_again(path, redirection, domo, secret_file):
    read = f"{sys.executable} -c '{READ_FILES}' {redirection}{secret_file}"
    assert "file-secret" in sh(f"exec {read}", cwd=secret_file.parent).stdout
    ended = sh(f"exec {COMMAND} exec --client-secret-file {path} -- {read}", cwd=secret_file.parent)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert b"Basic Y2FuYXJ5LWNsaWVudDpmaWxlLXNlY3JldA==" in domo.requests[0]  # canary-client:file-secret
    assert "file-secret" not in ended.stdout


@pytest.mark.slow
def test_exec_passes_on_the_token_signals_and_status_but_no_secret(domo):
    ended = sh(f"exec {COMMAND} exec --no-store sh -c 'env; echo DOMO_$*; exit 7' sh -v -- --help")
    assert ended.returncode == 7
    variables = {line for line in ended.stdout.splitlines() if line.startswith("DOMO_")}
    assert variables == {f"DOMO_API_URL={domo.url}", f"DOMO_ACCESS_TOKEN={TOKEN}", "DOMO_-v -- --help"}
    for name in ("INT", "PIPE"):
        assert (
            sh(f"exec {COMMAND} exec -- sh -c 'kill -{name} $$; sleep 0'").returncode == -signal.Signals[f"SIG{name}"]
        )


class Terminal:
    """A process at a terminal of its own, and what it shows there."""

    def __init__(self, *command: str) -> None:
        self._master, self._slave = os.openpty()
        self.process = subprocess.Popen(
            command,
            env=os.environ | {"TERM": "dumb"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 -- takes no lock
            **dict.fromkeys(("stdin", "stdout", "stderr"), self._slave),
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "status", "told"),
    [("canary-secret\n", 0, TOKEN), ("\x03", 130, ""), ("\x04", 2, "domo-oauth: No client secret was given.")],
)
def test_the_secret_prompt_does_not_echo(typed, status, told, domo, monkeypatch):
    monkeypatch.delenv("DOMO_CLIENT_SECRET")
    with Terminal(COMMAND, "token") as asked:
        asked.until("Client secret: ")
        assert not asked.echoes()
        asked.type(typed)
        assert asked.end() == status
        assert asked.echoes()
    assert asked.shown.partition("Client secret:")[2].strip() == told


@pytest.mark.slow
def test_control_c_ends_a_request_quietly(domo):
    domo.answer, domo.then = b"", "hang"
    with Terminal(COMMAND, "token", "--no-store", "-v") as asking:
        while not domo.requests:
            assert asking.process.poll() is None
        asking.type("\x03")
        assert asking.end() == 130
    assert "Traceback" not in asking.shown


LINES = {
    "domo-oauth log": {"login", "logout"},
    "domo-oauth token --form": {"--format"},
    "domo-oauth token --scope da": {"dashboard", "data"},
    "domo-oauth token --client-secret-file FILE": {"secret-of-mine"},
}
SHELLS = {
    "bash": (["bash", "--norc", "-i"], 'eval "$(domo-oauth completion bash)"', "\t\t"),
    "zsh": (["zsh", "-f", "-i"], 'autoload -U compinit && compinit -u -D && eval "$(domo-oauth completion zsh)"', "\t"),
}


@pytest.fixture
def _to_complete(tmp_path, monkeypatch):
    (tmp_path / "secret-of-mine").touch()
    monkeypatch.setenv("PATH", f"{Path(COMMAND).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.slow
@pytest.mark.usefixtures("_to_complete")
@pytest.mark.parametrize("shell", SHELLS)
def test_bash_and_zsh_complete(shell, tmp_path):
    command, set_up, tab = SHELLS[shell]
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}: apt-get install {shell}")
    with Terminal(*command) as started:
        started.type(f"{set_up}; print=rea; echo ${{print}}dy\n")
        started.until("ready\r\n")
        for line, expected in LINES.items():
            started.shown = ""
            started.type(line.replace("FILE", f"{tmp_path}/secret-of") + tab)
            for each in expected:  # a single one is put into the line, several are listed
                started.until(each)
            started.type("\x15")


@pytest.mark.slow
@pytest.mark.usefixtures("_to_complete")
def test_fish_completes(tmp_path):
    for line, expected in LINES.items():
        ask = line.replace("FILE", f"{tmp_path}/secret-of")
        printed = sh(f"domo-oauth completion fish | source; complete -C '{ask}'", "fish").stdout
        assert expected <= {each.split("\t")[0].rpartition("/")[2] for each in printed.splitlines()}, line
