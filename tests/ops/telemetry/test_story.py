"""Who reads only the log sees what happened, and under which trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nicegold import Accepted, Halted, Vetoed
from nicegold_ops.journal import caused, read
from nicegold_ops.telemetry.logs import Logs
from nicegold_ops.telemetry.story import Story
from nicegold_ops.trace import trace_id
from tests.ops.test_witness import lived


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_session_tells_its_orders_their_ends_and_objections_under_their_traces(tmp_path):
    logs = Logs(file=tmp_path / "log", stream=None)
    app = lived(tmp_path, 'plugins.limit.limit="0.05"', bars=100, name="vetoed")
    [*vetoes] = [each for each in caused(read(app.store, "vetoed")) if isinstance(each.event, Vetoed)]
    app.close()
    logs.close()

    said = [each for each in lines(tmp_path / "log") if each["event.action"] == "order.vetoed"]

    assert 0 < len(vetoes) == len(said)
    assert [trace_id("vetoed", each.cause) for each in vetoes] == [each["trace.id"] for each in said]
    assert {"warning"} == {each["log.level"] for each in said}
    assert said[0]["message"].startswith(
        f"order {said[0]['nicegold.order.client_id']} vetoed: limit: would hold"
    )


def test_an_order_is_followed_from_its_terms_to_its_fill(tmp_path):
    logs = Logs(file=tmp_path / "log", stream=None)
    lived(tmp_path, bars=100).close()
    logs.close()

    told = [
        (each["event.action"], each["message"])
        for each in lines(tmp_path / "log")
        if each.get("nicegold.order.client_id") == "cross-1"
    ]

    assert ["order.submitted", "order.accepted", "order.filled"] == [action for action, _ in told]
    assert told[0][1].startswith("order cross-1: ")
    assert "order cross-1 accepted" == told[1][1]


def test_where_more_happens_than_anybody_reads_it_says_how_much_more(tmp_path):
    logs = Logs(file=tmp_path / "log", stream=None)

    Story("run").tell({7: [Accepted(order_id=f"x-{number}", time=1) for number in range(70)]})

    logs.close()
    said = lines(tmp_path / "log")
    assert (51, "and 20 more; the journal has all of it") == (len(said), said[-1]["message"])


def test_a_halt_says_who_and_why(tmp_path):
    logs = Logs(file=tmp_path / "log", stream=None)

    Story("run").tell({7: [Halted(plugin="drawdown", reason="too far down", time=1)]})

    logs.close()
    [said] = lines(tmp_path / "log")
    assert ("warning", "halted by drawdown: too far down", "engine.halted") == (
        said["log.level"],
        said["message"],
        said["event.action"],
    )
