from __future__ import annotations

import gzip
import http.client
import json
import socket
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Gauge

from nicegold_ops.errors import ConfigurationError
from nicegold_ops.telemetry.http import Server


class Health:
    """A liveness that can be told what to say."""

    def __init__(self) -> None:
        self.says: tuple[bool, dict[str, object]] = (True, {"status": "ok"})

    def __call__(self) -> tuple[bool, dict[str, object]]:
        return self.says


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("nicegold_test_value", "A value.", registry=registry).set(7)
    return registry


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def server(registry: CollectorRegistry, health: Health) -> Iterator[Server]:
    running = Server("127.0.0.1", 0, registry, health)
    yield running
    running.close()


def ask(
    server: Server, path: str, method: str = "GET", **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def test_metrics_are_served_in_prometheus_form(server):
    status, headers, body = ask(server, "/metrics")

    assert 200 == status
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert b"nicegold_test_value 7.0\n" in body


def test_open_metrics_are_served_to_who_asks_for_them(server):
    accept = "application/openmetrics-text; version=1.0.0"

    _, headers, body = ask(server, "/metrics", Accept=accept)

    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")


def test_what_is_served_is_packed_for_who_can_unpack_it(server):
    _, headers, body = ask(server, "/metrics", **{"Accept-Encoding": "gzip"})

    assert "gzip" == headers["Content-Encoding"]
    assert b"nicegold_test_value 7.0\n" in gzip.decompress(body)


@pytest.mark.parametrize(("alive", "status"), [(True, 200), (False, 503)])
def test_health_is_what_liveness_says(server, health, alive, status):
    health.says = (alive, {"last_work_seconds_ago": 3.5})

    answered, headers, body = ask(server, "/healthz")

    assert (status, "application/json") == (answered, headers["Content-Type"])
    assert {"last_work_seconds_ago": 3.5} == json.loads(body)


def test_a_liveness_that_fails_is_not_alive(registry):
    def broken() -> tuple[bool, dict[str, object]]:
        raise RuntimeError("nobody knows")

    server = Server("127.0.0.1", 0, registry, broken)
    status, _, body = ask(server, "/healthz")
    server.close()

    assert 503 == status
    assert {"status": "unknown", "error": "RuntimeError: nobody knows"} == json.loads(body)


@pytest.mark.parametrize("path", ["/", "/metrics/", "/debug", "/../metrics"])
def test_there_is_nothing_else(server, path):
    assert 404 == ask(server, path)[0]


def test_head_has_no_body(server):
    status, headers, body = ask(server, "/metrics", "HEAD")

    assert (200, b"") == (status, body)
    assert 0 < int(headers["Content-Length"])


def test_nothing_can_be_changed_from_outside(server):
    assert 501 == ask(server, "/metrics", "POST")[0]


def test_requests_are_not_logged(server, capfd):
    ask(server, "/metrics")
    ask(server, "/nothing")

    assert ("", "") == capfd.readouterr()


def test_a_port_that_is_taken_is_named(server, registry, health):
    with pytest.raises(ConfigurationError) as refused:
        Server("127.0.0.1", server.port, registry, health)

    assert (
        f"/metrics cannot be served on 127.0.0.1:{server.port}: Address already in use; "
        "choose another port, or 0 for any"
    ) == str(refused.value)


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", 70_000), ("192.0.2.1", 0), ("no.such.host.invalid", 0)]
)
def test_an_address_that_cannot_be_had_is_named(registry, health, host, port):
    with pytest.raises(ConfigurationError, match=f"cannot be served on {host}:{port}: "):
        Server(host, port, registry, health)


def test_the_port_is_free_once_it_is_closed(registry, health):
    first = Server("127.0.0.1", 0, registry, health)
    first.close()

    second = Server("127.0.0.1", first.port, registry, health)

    assert 200 == ask(second, "/healthz")[0]
    second.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_it_can_listen_on_ipv6(registry, health):
    server = Server("::1", 0, registry, health)
    connection = http.client.HTTPConnection("::1", server.port, timeout=10)
    connection.request("GET", "/healthz")

    assert 200 == connection.getresponse().status

    connection.close()
    server.close()
