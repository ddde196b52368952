"""What we ask of Vault and Elasticsearch is in the trace store, below what it was asked for."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from nicegold_ops.telemetry.outgoing import Relay, Said
from nicegold_ops.telemetry.requests import Requests
from nicegold_ops.telemetry.spans import resource
from tests.ops.commandline import Shell, market_in
from tests.services.elasticsearch import elasticsearch
from tests.services.jaeger import Jaeger, jaeger
from tests.services.openbao import OpenBao, openbao
from tests.services.prometheus import until

UNKNOWN: Said = {"http.request.method": "GET"}


@pytest.fixture
def told() -> list[ReadableSpan]:
    return []


@pytest.fixture
def requests(told: list[ReadableSpan]) -> Requests:
    numbers, times = itertools.count(1), itertools.count(100)
    return Requests(told.extend, resource("work"), draw=lambda bits: next(numbers), wall=lambda: next(times))


def test_requests_are_below_what_they_are_made_for(requests, told):
    with requests.work("audit.ship"), requests.request("GET /a", UNKNOWN) as more:
        more["http.response.status_code"] = 200

    request, work = told
    assert ("GET /a", "CLIENT", 200) == (
        request.name,
        request.kind.name,
        request.attributes["http.response.status_code"],
    )
    assert ("audit.ship", "INTERNAL", None) == (work.name, work.kind.name, work.parent)
    assert work.context == request.parent
    assert work.start_time < request.start_time < request.end_time < work.end_time
    assert "UNSET" == request.status.status_code.name


def test_what_asks_for_nothing_is_not_told(requests, told):
    with requests.work("audit.ship"):
        pass

    assert [] == told


def test_a_request_by_itself_has_a_trace_of_its_own(requests, told):
    for _ in range(2):
        with requests.request("GET /a", UNKNOWN):
            pass

    assert 2 == len({each.context.trace_id for each in told})
    assert [None, None] == [each.parent for each in told]


@pytest.mark.parametrize(("status", "failed"), [(399, None), (400, "400"), (503, "503")])
def test_a_status_that_says_so_is_a_failure_of_the_request_alone(requests, told, status, failed):
    with requests.work("audit.ship"), requests.request("GET /a", UNKNOWN) as more:
        more["http.response.status_code"] = status

    assert [failed, None] == [each.attributes.get("error.type") for each in told]
    statuses = ["UNSET" if failed is None else "ERROR", "UNSET"]
    assert statuses == [each.status.status_code.name for each in told]


def test_work_that_goes_on_although_it_failed_is_told_as_failed(requests, told):
    with requests.work("audit.ship"):
        with requests.request("POST /_bulk", UNKNOWN):
            pass
        requests.failed("Refused")

    assert ["UNSET", "ERROR"] == [each.status.status_code.name for each in told]
    assert "Refused" == told[-1].attributes["error.type"]


def test_what_raises_is_told_by_its_kind_and_goes_on(requests, told):
    with pytest.raises(TimeoutError), requests.work("audit.ship"), requests.request("GET /a", UNKNOWN):
        raise TimeoutError("canary")

    assert ["TimeoutError", "TimeoutError"] == [each.attributes["error.type"] for each in told]
    assert "canary" not in str([each.to_json() for each in told])


def test_nobody_has_to_listen():
    relay = Relay()

    with relay.work("audit.ship"), relay.request("GET /a", UNKNOWN) as more:
        more["x"] = 1


@pytest.fixture
def servers() -> Iterator[tuple[Jaeger, OpenBao, Any]]:
    with jaeger() as traces, openbao() as bao, elasticsearch("9.0.8") as node:
        yield traces, bao, node


@pytest.mark.slow
def test_work_is_seen_down_to_the_servers_that_it_asks(servers, tmp_path, monkeypatch, capsys):
    traces, bao, node = servers
    bao.with_transit()
    bao.write("transit/keys/nicegold-audit", type="ed25519")
    (tmp_path / "token").write_text(bao.token)
    market_in(tmp_path, bars=120)
    with (tmp_path / "nicegold.toml").open("a") as file:
        file.write(
            f'[vault]\naddress = "{bao.url}"\nauth = "token"\ntoken = "file:token"\n'
            f'[traces]\nendpoint = "{traces.otlp}"\n[elasticsearch]\nurl = "{node.url}"\n'
            '[audit]\ntransit_key = "nicegold-audit"\n'
        )
    monkeypatch.chdir(tmp_path)
    shell = Shell(tmp_path, capsys)
    assert 0 == shell("run", "--set", "run.mode=paper", "--json", "result.json").code

    assert 0 == shell("work", "--once", "--metrics-port", "0").code

    until(lambda: "audit.ship" in traces.everything("nicegold"), "no round of the shipper arrives")
    spans = _spans(traces)
    bulk = spans["POST /logs-nicegold.audit-default/_bulk"]
    assert "audit.ship" == _parent_of(bulk, traces)
    assert ("elasticsearch", 200) == (
        bulk["tags"]["db.system.name"],
        bulk["tags"]["http.response.status_code"],
    )
    assert 0 < bulk["tags"]["db.operation.batch.size"]
    assert ("client", "vault") == (
        spans["POST /v1/transit/sign/nicegold-audit"]["tags"]["span.kind"],
        spans["POST /v1/transit/sign/nicegold-audit"]["tags"]["peer.service"],
    )
    assert bao.token not in traces.everything("nicegold")


def _spans(traces: Jaeger) -> dict[str, dict[str, Any]]:
    """One of each name, with its tags by name."""
    found = {}
    for trace in json.loads(traces.everything("nicegold"))["data"]:
        for span in trace["spans"]:
            found[span["operationName"]] = {
                **span,
                "tags": {each["key"]: each["value"] for each in span["tags"]},
            }
    return found


def _parent_of(span: dict[str, Any], traces: Jaeger) -> str:
    [parent] = [each["spanID"] for each in span["references"]]
    name: str = next(
        each["operationName"]
        for trace in json.loads(traces.everything("nicegold"))["data"]
        for each in trace["spans"]
        if each["spanID"] == parent
    )
    return name
