"""OpenTelemetry: spans of httpx and requests, with all headers that a user can ask for."""

import os
import sys
from pathlib import Path

# Before the instrumentations are imported: capture all headers, and leave one out, as the page says.
os.environ |= {
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST": ".*",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE": ".*",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS": "authorization",
}

import checks
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from domo_oauth import ClientCredentials, DomoOAuthError, request_token

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
page = checks.module("traced")
tracer = trace.get_tracer("check")


def call() -> None:
    with tracer.start_as_current_span("a call"):
        assert page.names() == page.names_with_requests() == checks.NAMES


def spans_of(path: str) -> list[int]:
    """The statuses of the spans of requests to this path, and forget them."""
    spans = exporter.get_finished_spans()
    found = [span for span in spans if path in str(span.attributes.get("http.url", span.attributes.get("url.full")))]
    return [span.attributes.get("http.status_code") or span.attributes["http.response.status_code"] for span in found]


checks.check_calls(call, 10)
checks.row["calls"] = "1 for 20 calls"
assert spans_of("/oauth/token") == [200]
assert [span.parent for span in exporter.get_finished_spans() if "GET" in span.name].count(None) == 1  # that one
assert spans_of("/v1/datasets") == [200] * 20
checks.check_revoked(call)
assert spans_of("/v1/datasets")[20:] == [401, 200, 200], spans_of("/v1/datasets")
checks.forget_tokens()
with tracer.start_as_current_span("a call with requests"):
    assert page.names_with_requests() == checks.NAMES
checks.sandbox.revoke_tokens()
with tracer.start_as_current_span("a call with requests, replayed"):
    assert page.names_with_requests() == checks.NAMES
assert spans_of("/v1/datasets")[23:] == [200, 200], spans_of("/v1/datasets")
for secret, status in ((checks.WRONG["DOMO_CLIENT_SECRET"], 401), (checks.sandbox.client_secret, 503)):
    checks.sandbox.fail_next(status, at="token")
    with tracer.start_as_current_span("a token request"):
        try:
            request_token(ClientCredentials(checks.sandbox.client_id, secret))
        except DomoOAuthError as error:
            trace.get_current_span().record_exception(error)  # with its traceback
checks.check_expired(call)
spans = [span.to_json() for span in exporter.get_finished_spans()]
assert any("authorization" in span for span in spans)
assert not any(checks.WRONG["DOMO_CLIENT_SECRET"] in span for span in spans)
Path("spans.json").write_text("\n".join(spans), encoding="utf-8")  # the runner searches it
checks.check_script(sys.executable, "traced.py")
checks.versions("opentelemetry-sdk", "opentelemetry-instrumentation-httpx", "opentelemetry-instrumentation-requests")
checks.done(f"{len(spans)} spans with all headers, errors among them")
