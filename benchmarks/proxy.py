"""Measure `domo-oauth proxy` beside nginx and direct calls, and write proxy.md: ``python -m benchmarks.proxy``.

All three reach the same nginx, which stands in for the API and the token endpoint. wrk sends requests to each in turn.
As a gateway, nginx checks no key, adds no token and logs nothing, so it shows the least that a gateway costs.
"""

from __future__ import annotations

import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from .report import markdown

_ROUNDS, _SECONDS = 5, 5
_KEY = "benchmark-key-0123456789"
_GRANT = '{"access_token": "t", "token_type": "bearer", "expires_in": 3599, "customer": "c"}'
_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; default_type application/json; keepalive_requests 1000000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream api {{ server 127.0.0.1:{api}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{api};
    location / {{ return 200 '[]'; }}
    location /oauth/token {{ return 200 '{token}'; }}
  }}
  server {{
    listen 127.0.0.1:{gateway};
    location / {{ proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""
_HEAD = f"""# The proxy beside nginx

Written by `make bench-proxy` with Python {platform.python_version()}: the median of {_ROUNDS} rounds of {_SECONDS} s \
each, lowest and highest in brackets.
nginx adds no token and checks no key.
"""
_COLUMNS = {"median, ms": 2, "99 %, ms": 2, "requests/s": 0}


def main() -> None:
    """Measure direct calls, nginx and the proxy, in turn."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        ways = {way: f"{origin}/v1/datasets" for way, origin in _start(stack, Path(folder)).items()}
        rows = []
        for connections in (1, 32):
            rounds = [{way: _measure(url, connections) for way, url in ways.items()} for _ in range(_ROUNDS)]
            rows += [[way, connections, *_cells([each[way] for each in rounds])] for way in ways]
    table = "\n".join([_HEAD, *markdown(f"way | connections | {' | '.join(_COLUMNS)}", rows), ""])
    print(table)
    Path(__file__).with_suffix(".md").write_text(table, encoding="utf-8")


def _start(stack: ExitStack, folder: Path) -> dict[str, str]:
    """Start nginx and the proxy, and return the origin of each way."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        api, gateway = one.getsockname()[1], other.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, api=api, gateway=gateway, token=_GRANT), encoding="ascii")
    command = ["nginx", "-e", f"{folder}/error.log", "-c", str(config)]
    nginx = stack.enter_context(subprocess.Popen(command))
    stack.callback(nginx.terminate)
    env = {"DOMO_API_URL": f"http://127.0.0.1:{api}", "DOMO_CLIENT_ID": "id", "DOMO_CLIENT_SECRET": "secret"}
    env |= {"DOMO_STORE": "none", "DOMO_PROXY_KEY": _KEY}
    proxy = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-m", "domo_oauth", "proxy", "--port", "0"],
            env=os.environ | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    )
    stack.callback(proxy.terminate)
    assert proxy.stdout
    origin = proxy.stdout.readline().partition("=")[2].strip()
    time.sleep(1)
    return {
        "direct": f"http://127.0.0.1:{api}",
        "nginx": f"http://127.0.0.1:{gateway}",
        "domo-oauth proxy": origin,
    }


def _measure(url: str, connections: int) -> list[float]:
    """Milliseconds (median, 99 %), and requests per second."""
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{_SECONDS}",
        "--latency",
        "-H",
        f"Authorization: Bearer {_KEY}",
        url,
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told:
        sys.exit(f"{url} answered with errors:\n{told}")
    factor = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    times = {share: float(value) * factor[unit] for share, value, unit in re.findall(r"(\d+)%\s+([\d.]+)(\w+)", told)}
    return [times["50"], times["99"], float(told.partition("Requests/sec:")[2].split()[0])]


def _cells(rounds: list[list[float]]) -> list[str]:
    return [
        f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"
        for values, digits in zip(zip(*rounds, strict=True), _COLUMNS.values(), strict=True)
    ]


if __name__ == "__main__":
    main()
