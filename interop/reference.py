"""Build, start and stop the reference servers: what `make reference-server` runs.

They are authorization servers on the framework that Domo most likely runs, in three versions, and on its successor. All
listen on a free port of loopback and end with the program that started them.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from domo_oauth import ClientCredentials

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "reference-server"
CACHE = HERE.parent / ".cache" / "reference-server"
# Small and quick to start; old versions of Spring look into java.lang.
JAVA = [
    "java",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "--add-opens",
    "java.base/java.lang=ALL-UNNAMED",
]
QUIET = ["--server.address=127.0.0.1", "--server.port=0", "--logging.level.root=OFF", "--spring.main.banner-mode=off"]


@dataclass(frozen=True)
class Server:
    """A reference server.

    Attributes:
        name: Its name here and in file names.
        framework: The framework and its version.
        boot: The version of Spring Boot around it.
        folder: Its sources.
        profile: The Maven profile that chooses the versions; none for those of the properties.
    """

    name: str
    framework: str
    boot: str
    folder: str
    profile: str = ""

    @property
    def title(self) -> str:
        """Framework and versions."""
        return f"{self.framework} on Spring Boot {self.boot}"


MAIN = Server("sso-2.3", "Spring Security OAuth 2.3.8", "2.1.18", "spring-security-oauth")
SERVERS = (
    MAIN,
    Server("sso-2.0", "Spring Security OAuth 2.0.14", "1.5.22", "spring-security-oauth", "oldest"),
    Server("sso-2.5", "Spring Security OAuth 2.5.2", "2.7.18", "spring-security-oauth", "newest"),
    Server("sas-1.5", "Spring Authorization Server 1.5.2", "3.5.6", "spring-authorization-server"),
)


def credentials(client_id: str = "two-scopes") -> ClientCredentials:
    """The credentials of a client that the servers know. They are public."""
    return ClientCredentials(client_id, f"not-a-secret-of-{client_id}")


@contextmanager
def running(server: Server = MAIN, *, methods: str = "GET,POST") -> Generator[str]:
    """Build the server if its sources changed, run it for the duration of the block, and yield its URL.

    Args:
        server: Which server.
        methods: The methods that its token endpoint takes.
    """
    command = [*JAVA, "-cp", built(server), "reference.Server", *QUIET, f"--token.methods={methods}"]
    # It ends at the end of its input, so also if this process is killed.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        # Boot's other threads may log before they are told to be silent.
        if not (url := next((line.strip() for line in process.stdout if line.startswith("http")), "")):
            sys.exit(f"{server.title} did not start.")
        try:
            yield url
        finally:
            with suppress(OSError):
                process.stdin.close()


def built(server: Server) -> str:
    """Build the server, unless it is built; return its classpath."""
    folder, sources = CACHE / server.name, SOURCES / server.folder
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(sources.rglob("*")) if path.is_file()))
    stamp, classpath = folder / "stamp", folder / "classpath"
    if not (stamp.exists() and stamp.read_text() == digest.hexdigest() and _is_there(classpath)):
        maven = ["mvn", "--quiet", "--batch-mode", f"-Dfolder={folder}", "compile"]
        subprocess.run([*maven, *([f"-P{server.profile}"] if server.profile else [])], cwd=sources, check=True)
        stamp.write_text(digest.hexdigest())
    return f"{folder / 'classes'}{os.pathsep}{classpath.read_text().strip()}"


def _is_there(classpath: Path) -> bool:
    return classpath.exists() and all(map(os.path.exists, classpath.read_text().strip().split(os.pathsep)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = {server.name: server for server in SERVERS}
    parser.add_argument("server", nargs="?", choices=names, default=MAIN.name)
    server = names[parser.parse_args().server]
    with suppress(KeyboardInterrupt), running(server) as url:
        client = credentials()
        print(f"{server.title}. Ctrl-C stops it.")
        print(f"export DOMO_API_URL={url} DOMO_CLIENT_ID={client.client_id} DOMO_CLIENT_SECRET={client.client_secret}")
        sys.stdout.flush()
        signal.pause()


if __name__ == "__main__":
    main()
