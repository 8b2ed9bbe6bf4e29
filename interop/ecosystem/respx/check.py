"""respx: the tests of a program that mocks the API and the token endpoint."""

import sys

import checks

none = dict.fromkeys(checks.sandbox.env, "")  # nothing may need the sandbox
output = checks.run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_with_respx.py", env=none)
assert "4 passed" in output, output
assert checks.sandbox.stats().token_requests == 0
checks.row |= {"calls": "1 for 2 calls", "revoked": "renewed, 401 replayed", "wrong": "`InvalidClientError`"}
checks.versions("respx", "pytest")
checks.done("the page's 4 tests; no request left the process")
