"""ops/deploy/filebeat.yml takes the log's lines as they are: a real Filebeat reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from elasticsearch import Elasticsearch

from nicegold_ops.telemetry.logs import Logs, logger
from tests.services.elasticsearch import elasticsearch
from tests.services.filebeat import SETTINGS, Filebeat, checked, filebeat
from tests.services.prometheus import until

pytestmark = pytest.mark.slow

TRACE = "0123456789abcdef" * 2
STREAM = "logs-nicegold.app-default"
#: What Filebeat says of itself and of where it read.
ITS_OWN = (
    "@metadata",
    "agent.",
    "host.",
    "input.",
    "log.file.",
    "log.offset",
    "data_stream.",
    "event.dataset",
)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Filebeat]:
    with filebeat(tmp_path / "state") as server:
        yield server


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "state" / "runs" / "20260105T000000Z-live" / "log.jsonl"


def flat(said: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """By their dotted names."""
    found: dict[str, Any] = {}
    for name, value in said.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def write(log: Path, running: Filebeat) -> list[dict[str, Any]]:
    """A log that is renamed again and again, each time soon after it was read; what its lines say."""
    logs = Logs(file=log, stream=None, size=9000, kept=100)
    logs.trace = lambda: TRACE
    for number in range(200):
        fields = {
            "event.sequence": number,
            "event.action": "order.submitted",
            "nicegold.order.client_id": "x-1",
        }
        logger("engine").info("order sent", **fields)
        if number % 20 == 0:
            until(lambda: len(running.events()) > number, "not all lines arrive")  # noqa: B023
    try:
        raise LookupError("no price")
    except LookupError:
        logger("plugin").exception("it failed")
    logs.close()
    return [json.loads(line) for file in log.parent.iterdir() for line in file.read_text().splitlines()]


def test_each_line_arrives_once_as_it_is_also_while_files_are_renamed(running, log):
    lines = write(log, running)

    until(lambda: len(running.events()) >= len(lines), "not all lines arrive")
    events = [flat(each) for each in running.events()]
    ours = [{name: value for name, value in each.items() if not name.startswith(ITS_OWN)} for each in events]
    assert sorted(map(json.dumps, map(_sorted, lines))) == sorted(map(json.dumps, map(_sorted, ours)))
    assert {"create"} == {each["@metadata.op_type"] for each in events}
    assert len(lines) == len({each["@metadata._id"] for each in events})
    assert {("logs", "nicegold.app", "default")} == {
        tuple(each[f"data_stream.{name}"] for name in ("type", "dataset", "namespace")) for each in events
    }


def _sorted(said: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(said.items()))


def test_a_line_that_is_no_json_arrives_too(running, log):
    log.parent.mkdir(parents=True)
    log.write_text("Traceback (most recent call last):\n")

    until(lambda: len(running.events()) == 1, "it does not arrive")
    event = flat(running.events()[0])
    assert "Traceback (most recent call last):" == event["message"]
    assert "Error decoding JSON" in event["error.message"]


def test_elasticsearch_takes_what_arrives_and_finds_it_by_its_trace(running, log):
    lines = write(log, running)
    until(lambda: len(running.events()) >= len(lines), "not all lines arrive")

    with elasticsearch("9.0.8") as node:
        client = Elasticsearch(node.url)
        client.indices.put_index_template(
            name="logs", index_patterns=["logs-*-*"], data_stream={}, priority=100
        )
        for event in running.events():
            del event["@metadata"]
            client.index(index=STREAM, document=event, op_type="create")
        client.indices.refresh(index=STREAM)
        found = client.count(index=STREAM, query={"match": {"trace.id": TRACE}})

    assert len(lines) == found["count"]


def test_a_short_log_arrives_whatever_a_filebeats_default_is():
    [source] = yaml.safe_load(SETTINGS.read_text())["filebeat.inputs"]

    # Version 9 knows a file by its first 1024 bytes, and waits for them; the one here is older, and does not.
    assert (None, False) == (source["file_identity.native"], source["prospector.scanner.fingerprint.enabled"])


def test_the_settings_are_what_filebeat_takes():
    done = checked()

    assert (0, "Config OK") == (done.returncode, done.stdout.strip()), done.stderr
