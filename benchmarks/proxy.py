"""Benchmark `domo-oauth proxy` beside nginx and direct calls.

All three reach the same nginx, which stands in for the API and the token endpoint. wrk sends requests to each in turn.
As a gateway, nginx checks no key, adds no token and logs nothing, so it shows the least that a gateway costs.
``--publish`` writes benchmarks/proxy.md.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click

KEY = "benchmark-key-0123456789"
TOKEN = json.dumps({"access_token": "t", "token_type": "bearer", "expires_in": 3599, "customer": "c"})
NGINX = """
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
HEAD = """# The proxy beside nginx

Written by `python -m benchmarks.proxy --rounds {rounds} --seconds {seconds} --publish` with Python {python}:
the median of the rounds, lowest and highest in brackets. nginx adds no token and checks no key.

| way | connections | median, ms | 99 %, ms | requests/s |
|---|---|---|---|---|"""
RESULTS = Path(__file__).parent / "proxy.md"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def start(stack: ExitStack, command: list[str], env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    process = stack.enter_context(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True))
    stack.callback(process.terminate)
    return process


def measure(url: str, connections: int, seconds: int) -> dict[str, float]:
    """Milliseconds (median, 99 %), and requests per second."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-H", f"Authorization: Bearer {KEY}", url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told:
        sys.exit(f"{url} answered with errors:\n{told}")
    factor = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    times = {
        share: float(value) * factor[unit] for share, value, unit in re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s)", told)
    }
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    return {"median": times["50"], "99 %": times["99"], "rate": float(found[1]) if found else 0.0}


@click.command
@click.option("--rounds", default=5, show_default=True)
@click.option("--seconds", default=5, show_default=True, help="Length of each measurement.")
@click.option("--publish", is_flag=True, help=f"Write {RESULTS.name}.")
def main(rounds: int, seconds: int, *, publish: bool) -> None:
    """Measure direct calls, nginx and the proxy, in turns."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        api, gateway = free_port(), free_port()
        config = Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, api=api, gateway=gateway, token=TOKEN))
        start(stack, ["nginx", "-e", f"{folder}/error.log", "-c", str(config)])
        env = os.environ | {
            "DOMO_API_URL": f"http://127.0.0.1:{api}",
            "DOMO_CLIENT_ID": "id",
            "DOMO_CLIENT_SECRET": "secret",
            "DOMO_STORE": "none",
            "DOMO_PROXY_KEY": KEY,
        }
        log = stack.enter_context(Path(folder, "proxy.log").open("w"))
        command = shlex.join([sys.executable, "-m", "domo_oauth", "proxy", "--port", "0"])
        proxy = start(stack, ["sh", "-c", f"exec {command} 2>{log.name}"], env)
        line = proxy.stdout.readline() if proxy.stdout else ""
        ways = {
            "direct": f"http://127.0.0.1:{api}/v1/datasets",
            "nginx": f"http://127.0.0.1:{gateway}/v1/datasets",
            "domo-oauth proxy": f"{line.partition('=')[2].strip()}/v1/datasets",
        }
        time.sleep(1)
        rows = []
        for connections in (1, 32):
            figures: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
            for _ in range(rounds):
                for way, url in ways.items():
                    figures[way].append(measure(url, connections, seconds))
            rows += [row(way, connections, each) for way, each in figures.items()]
    table = "\n".join([HEAD.format(rounds=rounds, seconds=seconds, python=platform.python_version()), *rows])
    print(table)
    if publish:
        RESULTS.write_text(table + "\n")


def row(way: str, connections: int, figures: list[dict[str, float]]) -> str:
    def cell(name: str, digits: int) -> str:
        values = [each[name] for each in figures]
        return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"

    return f"| {way} | {connections} | {cell('median', 2)} | {cell('99 %', 2)} | {cell('rate', 0)} |"


if __name__ == "__main__":
    main()
