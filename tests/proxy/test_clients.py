"""`domo-oauth proxy`, the local gateway that adds the token: called from the shell and from other languages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes import PATIENCE
from tests.proxy.conftest import command, end

pytestmark = pytest.mark.slow
NODE = Path(sys.executable).with_name("node")  # a Python package
CURL = """
curl --silent --show-error --write-out ' %{http_code}' --header "$AUTHORIZATION" --data-binary @- \
  "$DOMO_PROXY_URL/v1/datasets/1/data" <<< 'a,b'
"""
CURL_ON_A_SOCKET = """
curl --silent --show-error --write-out ' %{http_code}' --unix-socket "$DOMO_PROXY_SOCKET" --data-binary @- \
  "http://domo/v1/datasets/1/data" <<< 'a,b'
"""
FETCH = """
const [name, value] = process.env.AUTHORIZATION.split(": ");
const url = `${process.env.DOMO_PROXY_URL}/v1/datasets/1/data`;
fetch(url, { method: "POST", headers: { [name]: value }, body: "a,b\\n" })
  .then(async (answer) => console.log(await answer.text(), answer.status));
"""
NODE_ON_A_SOCKET = """
const where = { socketPath: process.env.DOMO_PROXY_SOCKET, path: "/v1/datasets/1/data", method: "POST" };
require("node:http").request(where, async (answer) => {
  let text = "";
  for await (const chunk of answer) text += chunk;
  console.log(text, answer.statusCode);
}).end("a,b\\n");
"""
GO = """
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func main() {
	url := os.Getenv("DOMO_PROXY_URL") + "/v1/datasets/1/data"
	request, _ := http.NewRequest("POST", url, strings.NewReader("a,b\\n"))
	name, value, _ := strings.Cut(os.Getenv("AUTHORIZATION"), ": ")
	request.Header.Set(name, value)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	text, _ := io.ReadAll(answer.Body)
	fmt.Println(string(text), answer.StatusCode)
}
"""
CLIENTS = {
    "curl": ("--port", ["bash", "-c", CURL]),
    "curl on a socket": ("--socket", ["bash", "-c", CURL_ON_A_SOCKET]),
    "fetch of Node.js": ("--port", [NODE, "-e", FETCH]),
    "Node.js on a socket": ("--socket", [NODE, "-e", NODE_ON_A_SOCKET]),
    "Go": ("--port", ["go", "run", "main.go"]),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_without_a_library_gets_its_response_after_a_401(env, api, tmp_path, name):
    option, program = CLIENTS[name]
    if not shutil.which(program[0]):
        pytest.skip(f"needs {program[0]}: make system, or go.dev")
    (tmp_path / "main.go").write_text(GO)
    api.refuse = 1
    with command(option, "0" if option == "--port" else str(tmp_path / "s")) as (process, variables):
        # XDG_CACHE_HOME is empty in tests, so that Go would compile its library.
        inherited = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
        key = {"AUTHORIZATION": f"Authorization: Bearer {variables.get('DOMO_PROXY_KEY', '')}"}
        done = subprocess.run(
            program,
            cwd=tmp_path,
            env=inherited | variables | key,
            capture_output=True,
            text=True,
            timeout=5 * PATIENCE,
            check=False,
        )
        end(process)
    assert (done.stdout.split(), done.stderr) == (["{}", "200"], "")
    calls = [each for each in api.seen if each.token]
    assert [call.token for call in calls] == ["canary-token-1", "canary-token-2"]
    assert {(call.path, call.body) for call in calls} == {("/v1/datasets/1/data", b"a,b\n")}
