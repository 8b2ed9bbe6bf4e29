"""pydomo with our tokens, on the real package."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pydomo
import pytest

from domo_oauth import ConfigurationError, InvalidClientError
from domo_oauth.adapters.pydomo import Domo
from tests.adapters.server import answer


@pytest.fixture
def domo(api, grants) -> Domo:
    return Domo(grants.provider(api.url))


def test_it_has_all_that_pydomo_has(domo_sandbox):
    host = domo_sandbox.url.removeprefix("http://")
    theirs = pydomo.Domo(domo_sandbox.client_id, domo_sandbox.client_secret, api_host=host, use_https=False)
    ours = Domo.from_env(scopes="data")
    assert isinstance(ours, pydomo.Domo)
    assert vars(ours).keys() - {"provider"} == vars(theirs).keys()
    for name, value in vars(theirs).items():
        assert isinstance(vars(ours)[name], type(value))
    assert ours.logger is theirs.logger
    clients = [client for client in vars(ours).values() if hasattr(client, "transport")]
    assert {client.transport for client in clients} == {ours.transport}
    assert {client.logger for client in clients} == {ours.logger}


def test_a_script_pages_through_data_sets_across_a_revocation(domo_sandbox):
    domo_sandbox.datasets = [{"id": str(number), "name": f"Set {number}"} for number in range(7)]
    domo = Domo.from_client(domo_sandbox.client_id, domo_sandbox.client_secret, base_url=domo_sandbox.url)
    found = []
    for each in domo.datasets.list(per_page=2):
        found.append(each["id"])
        if each["id"] == "3":
            domo_sandbox.revoke_tokens()
    assert found == [str(number) for number in range(7)]
    assert domo_sandbox.stats().tokens_issued == 2
    assert len(domo.ds_list()) == 7


def test_threads_with_an_expired_token_make_one_request(domo, api, grants):
    domo.datasets.get("1")
    provider = domo.transport._auth.provider
    provider.invalidate(provider.get_token())
    barrier = threading.Barrier(20)
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: (barrier.wait(), domo.datasets.get("1")), range(20)))
    assert grants.granted == 2
    assert api.tokens == ["token-1"] + ["token-2"] * 20


CALLS = {
    "get": lambda domo, csv: domo.datasets.get("1"),
    "post": lambda domo, csv: domo.datasets.create({"name": "a"}),
    "put": lambda domo, csv: domo.datasets.update("1", {"name": "a"}),
    "patch": lambda domo, csv: domo.streams.update("1", {"name": "a"}),
    "delete": lambda domo, csv: domo.users.delete("1"),
    "export": lambda domo, csv: domo.datasets.data_export("1", include_csv_header=True),
    "import": lambda domo, csv: domo.datasets.data_import("1", csv.read_text()),
    "import from a file": lambda domo, csv: domo.datasets.data_import_from_file("1", str(csv)),
    "upload a part": lambda domo, csv: domo.streams.upload_part(1, 2, 3, csv.open("rb")),
    "upload gzip": lambda domo, csv: domo.streams.upload_gzip_part_from_file(1, 2, 3, str(csv), False, 99),
}
STATUSES = {"post": 201, "delete": 204, "import": 204, "import from a file": 204}


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # pydomo leaves files and responses open
@pytest.mark.parametrize("name", CALLS)
def test_every_kind_of_call_is_retried_with_a_new_token_after_a_401(domo, api, tmp_path, name):
    csv = tmp_path / "data.csv"
    csv.write_text("a,b\n1,2\n")
    refused = iter([answer(401)])
    done = answer(STATUSES.get(name, 200), "" if name in {"delete", "import", "import from a file"} else "{}")
    api.api = lambda request: next(refused, done)
    CALLS[name](domo, csv)
    first, second = api.seen
    assert (first.token, second.token) == ("token-1", "token-2")
    assert first[::2] == second[::2]
    if "import" in name or "part" in name:
        assert first.body == b"a,b\n1,2\n"
        assert b"content-type: text/csv" in api.api_requests[0].lower()


def test_a_large_export_is_not_read_into_memory(domo):
    with domo.transport.get_csv("/v1/datasets/1/data", params={}) as response:
        assert not response._content_consumed


def test_wrong_credentials_explain_themselves(domo, grants):
    grants.most = 0
    with pytest.raises(InvalidClientError, match="401"):
        domo.ds_list()


def test_an_api_that_is_silent_holds_nobody_up_for_ever(api, grants):
    stop = threading.Event()
    api.api = lambda request: answer(200) if stop.wait(60) else b""
    provider = grants.provider(api.url)
    provider.get_token()  # the timeout is for the API alone
    domo = Domo(provider, request_timeout=0.2)
    with pytest.raises(Exception, match="Read timed out"):
        domo.datasets.get("1")
    stop.set()


def test_pydomo_logs_no_token(api, grants, caplog):
    api.api = lambda request: answer(401, request.decode())  # repeats the request
    domo = Domo(grants.provider(api.url), logger_name="nightly", log_level=logging.DEBUG)
    assert domo.logger.name == "pydomo.nightly"
    with pytest.raises(Exception, match="Error retrieving DataSet"):
        domo.datasets.get("1")
    assert f"GET {api.url}/v1/datasets/1: 401 -\n" in caplog.text
    assert "token-" not in caplog.text


@pytest.mark.parametrize("given", [("canary-id",), ("canary-id", "canary-secret")])
def test_what_is_not_a_provider_is_refused(given):
    with pytest.raises(ConfigurationError, match=r"write Domo\.from_client\(client_id, client_secret\)"):
        Domo(*given)


def test_every_way_to_make_it_takes_a_timeout(domo_sandbox):
    client = domo_sandbox.client_id, domo_sandbox.client_secret
    domos = [Domo.from_env(request_timeout=5), Domo.from_client(*client, request_timeout=5)]
    assert [domo.transport.request_timeout for domo in domos] == [5, 5]
    assert domos[0].provider.stats().requests == 0
