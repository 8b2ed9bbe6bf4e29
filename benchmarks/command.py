"""Whole processes that print a token: ``domo-oauth token``, and scripts over libraries that can keep one in a file.

Two figures: with a token in the file, beside a Python that does nothing; and without one, beside the smallest script
that fetches a token with httpx, over TLS. The command is installed from this project's wheel, as an editable install
looks for modules in a slower way.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from typing import TYPE_CHECKING

from .environments import OURS, ROOT, variables

if TYPE_CHECKING:
    from pathlib import Path

    from .subjects import Sample

__all__ = ["COMMANDS", "Commands"]

COMMAND_STORED, COMMAND_COLD = COMMANDS = ("command_stored", "command_cold")
"""The two figures."""
_FOLDER = ROOT / ".cache" / "bench" / "command"
_SCRIPTS_FOLDER = _FOLDER / ("Scripts" if os.name == "nt" else "bin")
_BARE = """\
import os
import httpx
answer = httpx.get(
    os.environ["DOMO_API_URL"] + "/oauth/token",
    params={"grant_type": "client_credentials"},
    auth=(os.environ["DOMO_CLIENT_ID"], os.environ["DOMO_CLIENT_SECRET"]),
)
print(answer.raise_for_status().json()["access_token"])
"""
_SCRIPTS = {
    "httpx-auth": """\
import os
from httpx_auth import JsonTokenFileCache, OAuth2, OAuth2ClientCredentials
OAuth2.token_cache = JsonTokenFileCache(os.environ["DOMO_STORE"])
auth = OAuth2ClientCredentials(
    os.environ["DOMO_API_URL"] + "/oauth/token",
    client_id=os.environ["DOMO_CLIENT_ID"],
    client_secret=os.environ["DOMO_CLIENT_SECRET"],
)
print(OAuth2.token_cache.get_token(auth.state, early_expiry=30.0, on_missing_token=auth.request_new_token))
""",
    # It takes nothing but https on port 443 of a host that it looks up, so its session goes to this server instead.
    "msal": """\
import os
from pathlib import Path
import msal
import requests
session, store = requests.Session(), Path(os.environ["DOMO_STORE"])
send = session.request
session.request = lambda method, url, **more: send(
    method, url.replace("https://localhost", os.environ["DOMO_API_URL"], 1), **more
)
cache = msal.SerializableTokenCache()
if store.exists():
    cache.deserialize(store.read_text())
app = msal.ConfidentialClientApplication(
    os.environ["DOMO_CLIENT_ID"],
    client_credential=os.environ["DOMO_CLIENT_SECRET"],
    authority="https://localhost/tenant",
    instance_discovery=False,
    token_cache=cache,
    http_client=session,
)
print(app.acquire_token_for_client(["data"])["access_token"])
store.write_text(cache.serialize())
""",
}


class Commands:
    """Runs them.

    Args:
        folder: An empty one, for what they keep.
        base_url: The server, without TLS.
        tls_url: The same server with TLS.
        authority: The file that has the certificate authority of that.
    """

    def __init__(self, folder: Path, base_url: str, tls_url: str, authority: Path) -> None:
        self._folder = folder
        credentials = {"DOMO_CLIENT_ID": "bench", "DOMO_CLIENT_SECRET": "bench-secret"}
        self._plain = credentials | {"DOMO_API_URL": base_url}
        self._tls = credentials | {"DOMO_API_URL": tls_url, "SSL_CERT_FILE": str(authority)}
        self._stored: set[str] = set()

    @staticmethod
    def install() -> None:
        """Install the command into an environment of its own; anew when the source has changed."""
        sources = sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("generated/**/*.py"), ROOT / "pyproject.toml"])
        state = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
        made_of = _FOLDER / "made-of.txt"
        if made_of.exists() and made_of.read_text(encoding="utf-8") == state:
            return
        print("domo-oauth: the command's environment", flush=True)
        shutil.rmtree(_FOLDER, ignore_errors=True)
        build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(_FOLDER / "wheel"), "."]
        subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        (wheel,) = (_FOLDER / "wheel").glob("*.whl")
        venv.create(_FOLDER, with_pip=False, symlinks=os.name != "nt")
        pip = [sys.executable, "-m", "pip", "--python", str(_SCRIPTS_FOLDER / "python"), "install", "--quiet"]
        subprocess.run([*pip, "--compile", "--disable-pip-version-check", f"{wheel}[cli]"], check=True)
        made_of.write_text(state, encoding="utf-8")

    def sample(self, name: str, figure: str, interpreter: Path) -> Sample | None:
        """One sample; None if the library cannot do this."""
        if name != OURS and (name not in _SCRIPTS or figure == COMMAND_COLD):
            return None
        if name == OURS:
            interpreter, command = _SCRIPTS_FOLDER / "python", [str(_SCRIPTS_FOLDER / "domo-oauth"), "token"]
        else:
            command = [str(interpreter), "-c", _SCRIPTS[name]]
        if figure == COMMAND_STORED:
            store = self._folder / name
            env = variables("command") | self._plain | {"DOMO_STORE": str(store)}
            if name not in self._stored:
                _run(command, env)
                self._stored.add(name)
            return {"floor": _run([str(interpreter), "-I", "-c", "pass"], env), "value": _run(command, env)}
        store = self._folder / "cold"
        env = variables("command") | self._tls | {"DOMO_STORE": str(store)}
        sample = {"floor": _run([str(interpreter), "-c", _BARE], env), "value": _run(command, env)}
        shutil.rmtree(store)
        return sample


def _run(command: list[str], env: dict[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begun) * 1e3
