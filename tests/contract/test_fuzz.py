"""Schemathesis asks the sandbox whatever the contract allows, and thousands of things that it does not."""

from __future__ import annotations

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as openapi_checks

from domo_oauth.contract import contract

OPERATION = schemathesis.openapi.from_dict(contract())["/oauth/token"]["GET"]
# By name, so that a newer version does not check something else. What a server takes beyond the contract is its own
# affair, as long as its answer is one of the contract's: so not negative_data_rejection.
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]
PATIENT = settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), database=None)
credentials = st.sampled_from(["right", "wrong", "none"])


def ask(case: schemathesis.Case, who: str, sandbox, session: requests.Session) -> int:
    auth = {"right": sandbox.client_secret, "wrong": "wrong"}.get(who)
    case.headers = {name: value for name, value in (case.headers or {}).items() if name != "Authorization"}
    response = case.call(base_url=sandbox.url, auth=auth and (sandbox.client_id, auth), session=session)
    case.validate_response(response, checks=CHECKS)
    return response.status_code


@pytest.mark.once
@pytest.mark.parametrize("turn", range(5))
def test_every_answer_is_one_of_the_contract(domo_sandbox, turn):
    """Five hundred requests that the contract allows, and two thousand that it does not."""
    mode = GenerationMode.NEGATIVE if turn else GenerationMode.POSITIVE
    seen = set()

    @seed(turn)
    @settings(PATIENT)
    @given(case=OPERATION.as_strategy(generation_mode=mode), who=credentials)
    def run(case, who):
        seen.add(ask(case, who, domo_sandbox, session))

    with requests.Session() as session:
        session.trust_env = False
        run()
    assert seen >= ({200, 401} if mode is GenerationMode.POSITIVE else {400, 401})
    assert domo_sandbox.stats().token_requests >= PATIENT.max_examples
