"""Schemathesis sends the sandbox what the contract allows, and what it does not allow."""

import pytest
import requests
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from domo_oauth.contract import contract


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "statuses"), [("POSITIVE", {200, 401}), ("NEGATIVE", {400, 401})])
def test_every_response_is_one_of_the_contract(domo_sandbox, mode, statuses):
    import schemathesis  # slow to import
    from schemathesis.specs.openapi import checks

    operation = schemathesis.openapi.from_dict(contract())["/oauth/token"]["GET"]
    wanted = [  # by name, so that a newer version checks the same
        schemathesis.checks.not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]
    cases = operation.as_strategy(generation_mode=schemathesis.GenerationMode[mode])
    secrets = {"right": domo_sandbox.client_secret, "wrong": "wrong"}
    seen = set()

    @seed(1)
    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=cases, who=st.sampled_from(["right", "wrong", "nobody"]))
    def run(case, who):
        auth = (domo_sandbox.client_id, secrets[who]) if who in secrets else None
        case.headers = {name: value for name, value in (case.headers or {}).items() if name != "Authorization"}
        response = case.call(base_url=domo_sandbox.url, auth=auth, session=session)
        case.validate_response(response, checks=wanted)
        seen.add(response.status_code)

    with requests.Session() as session:
        session.trust_env = False
        run()
    assert seen >= statuses
