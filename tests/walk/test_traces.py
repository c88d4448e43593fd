"""Traces of a running gateway, at a collector on loopback."""

from __future__ import annotations

from pathlib import Path

from tests.adapters.test_otel import CALLER, collecting, told
from tests.fixtures.gateway import Config, running


async def test_a_clients_trace_goes_on_through_the_gateway(tmp_path: Path, four_providers: Config) -> None:
    async with collecting() as collector:
        telemetry = {"otlp_endpoint": collector.url, "sample_share": 0}
        async with running(tmp_path, {**four_providers, "telemetry": telemetry}) as gateway:
            await gateway.ask("A private question?", "gpt-6.1-terra")
            header = f"00-{CALLER.trace_id}-{CALLER.span_id}-01"
            answer = await gateway.ask("A private question, traced?", "gpt-6.1-terra", {"traceparent": header})
    request, attempt = collector.spans
    assert {request["traceId"], attempt["traceId"]} == {CALLER.trace_id}
    assert request["parentSpanId"] == CALLER.span_id
    assert told(request)["thriftgate.request_id"] == answer.headers["x-request-id"]
    assert told(attempt)["gen_ai.request.model"] == "gpt-6.1-terra"
    assert "private" not in str(collector.spans)
