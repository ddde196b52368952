"""A span that is posted is found."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest

from tests.services.asking import asked
from tests.services.jaeger import Jaeger, jaeger
from tests.services.prometheus import until

TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"


def post(server: Jaeger) -> int:
    """Post the span; answers the status."""
    now = time.time_ns()
    span = {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "order",
        "kind": 1,
        "startTimeUnixNano": str(now - 1000),
        "endTimeUnixNano": str(now),
        "attributes": [
            {"key": "order.id", "value": {"stringValue": "gold-1"}},
            {"key": "order.sequence", "value": {"intValue": "7"}},
        ],
    }
    sender = {"attributes": [{"key": "service.name", "value": {"stringValue": "nicegold"}}]}
    said = {"resourceSpans": [{"resource": sender, "scopeSpans": [{"spans": [span]}]}]}
    return asked(server.port, "POST", urlsplit(server.otlp).path, said)[0]


def test_a_span_that_was_posted_is_found_until_the_server_is_started_again():
    with jaeger() as server:
        assert [] == server.trace(TRACE)

        assert 200 == post(server)

        until(lambda: bool(server.trace(TRACE)), "the span is not found")
        [span] = server.trace(TRACE)
        assert ("order", SPAN, "") == (span.name, span.id, span.parent)
        assert {"order.id": "gold-1", "order.sequence": 7} == span.attributes
        assert "nicegold" == span.resource["service.name"]
        assert ["nicegold"] == server.services()

        server.kill()
        with pytest.raises(ConnectionError):
            post(server)
        server.start()

        assert [] == server.trace(TRACE)
        assert 200 == post(server)
