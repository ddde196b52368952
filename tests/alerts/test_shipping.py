"""Elasticsearch fails in each way that it may while a session trades, with real servers between and behind.

What is on record is the same, what fires is what is said to, the shipper needs no more memory than when all
is well, and when it is mended all has arrived once.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from nicegold_ops import session
from nicegold_ops.app import App, bootstrap
from nicegold_ops.audit.trail import documents
from nicegold_ops.config import load
from nicegold_ops.journal import Run
from nicegold_ops.ship.elasticsearch import AuditStream
from tests.alerts.test_delivery import working
from tests.alerts.test_faults import on_record
from tests.ops.commandline import market_in
from tests.ops.ship.streams import made_otherwise, without_fills
from tests.services import elasticsearch as nodes
from tests.services.prometheus import Prometheus, deployed, prometheus, until
from tests.services.toxiproxy import Proxy, toxiproxy

pytestmark = pytest.mark.slow

#: Nothing goes through for longer than a minute, and what waits is older than that.
SILENT = {"NicegoldAuditShipperSilent", "NicegoldAuditOutboxBacklog"}
#: What fires, by what has befallen Elasticsearch.
FIRED = {
    "nothing": set(),
    "tarries": set(),
    "down": SILENT,
    "slow": SILENT,
    "cut": SILENT,
    "full": SILENT,
    "refuses": SILENT | {"NicegoldAuditRejected"},
}
#: So long is a refusal told after it was mended.
LINGERS = {"NicegoldAuditRejected"}
#: An order at nearly each bar, so that much more is to be shipped than one request holds.
BARS, SWING = 700, 0.5
#: What the resident memory of two processes that do the same may differ by.
_NOISE = 1.25
_SLOWEST = 300.0


class Shipped:
    """A session whose audit trail is shipped by a `nicegold work` of its own, through a proxy of its own."""

    def __init__(self, folder: Path, node: nodes.Elasticsearch, undo: ExitStack) -> None:
        self.name = folder.name
        self.proxy: Proxy = undo.enter_context(toxiproxy(node.port))
        self.app = _begun(folder, f"http://127.0.0.1:{self.proxy.port}", self.name)
        undo.callback(self.app.close)
        self.client = Elasticsearch(node.url)
        self.stream = AuditStream(self.client, self.name)
        self.address = ""

    def arrived(self) -> list[str]:
        """The ids of what is there, sorted; one that is there twice, twice."""
        self.client.indices.refresh(index=self.stream.name)
        query: dict[str, Any] = {"exists": {"field": "nicegold.audit.writer.id"}}
        body = {"size": 10_000, "sort": [{"event.id": "asc"}], "_source": False, "query": query}
        found: list[str] = []
        while page := self.stream.search(body)["hits"]["hits"]:
            found += [each["_id"] for each in page]
            body["search_after"] = page[-1]["sort"]
        return found

    def roll_over(self) -> None:
        """From now on its index is made as nicegold's template says, which is there since work began."""
        self.client.indices.rollover(alias=self.stream.name)


def _begun(folder: Path, url: str, namespace: str) -> App:
    folder.mkdir()
    config = market_in(folder, BARS, SWING)
    with config.open("a") as file:
        file.write(f'\n[elasticsearch]\nurl = "{url}"\nnamespace = "{namespace}"\n')
    return bootstrap(load(config), Run("run", "paper", 1))


def _firing(server: Prometheus, shipped: Shipped) -> set[str]:
    found = server.query(f'ALERTS{{alertstate="firing", instance="{shipped.address}"}}')
    return {labels["alertname"] for labels, _ in found}


def _memory(server: Prometheus, shipped: Shipped) -> float:
    """The most bytes that its `nicegold work` was seen to have."""
    [(_, most)] = server.query(
        f'max_over_time(process_resident_memory_bytes{{instance="{shipped.address}"}}[1h])'
    )
    return most


def test_whatever_befalls_elasticsearch_changes_no_record_is_told_and_loses_nothing(tmp_path):
    with ExitStack() as undo:
        node, small = (undo.enter_context(nodes.elasticsearch("9.0.8")) for _ in range(2))
        small.stop()
        small.configure("indexing_pressure.memory.limit: 1kb\n")
        small.start()
        all_shipped = {
            name: Shipped(tmp_path / name, small if name == "full" else node, undo) for name in FIRED
        }
        all_shipped["tarries"].proxy.toxic("latency", latency=300)
        # Longer than an answer is waited for.
        all_shipped["slow"].proxy.toxic("latency", latency=40_000)
        # In the middle of each bulk, of the smallest ones too.
        all_shipped["cut"].proxy.toxic("limit_data", stream="upstream", bytes=30_000)
        all_shipped["down"].proxy.cut()
        refuses = all_shipped["refuses"]
        made_otherwise(refuses.client, refuses.stream.name, without_fills())
        for name, shipped in all_shipped.items():
            _, shipped.address = undo.enter_context(working(tmp_path / name))
        works = tuple(shipped.address for shipped in all_shipped.values())
        server = undo.enter_context(prometheus(tmp_path, "", deployed(tmp_path, work=works)))
        until(lambda: len(server.query("up == 1")) == len(FIRED), "not all are scraped", _SLOWEST)

        for shipped in all_shipped.values():
            session.paper(shipped.app, stop=threading.Event())
        _until_it_fires(server, all_shipped, FIRED)

        for name in ("slow", "cut", "down"):
            all_shipped[name].proxy.heal()
        refuses.roll_over()
        small.stop()
        small.configure("")
        small.start()
        _until_it_fires(server, all_shipped, {name: fired & LINGERS for name, fired in FIRED.items()})

        expected = {
            name: sorted(each["event.id"] for each in documents(shipped.app.store, "run"))
            for name, shipped in all_shipped.items()
        }
        until(
            lambda: [] == server.query("nicegold_audit_outbox_records > 0"),
            "something has not arrived",
            _SLOWEST,
        )
        arrived = {name: shipped.arrived() for name, shipped in all_shipped.items()}
        # What had been taken of a page before the roll-over is in both indices; it is found and counted once.
        arrived["refuses"] = sorted(set(arrived["refuses"]))
        assert expected == arrived
        assert len({on_record(shipped.app) for shipped in all_shipped.values()}) == 1
        memory = {name: _memory(server, shipped) for name, shipped in all_shipped.items()}
        assert {} == {name: most for name, most in memory.items() if most > _NOISE * memory["nothing"]}


def _until_it_fires(server: Prometheus, all_shipped: dict[str, Shipped], fired: dict[str, set[str]]) -> None:
    def found() -> dict[str, set[str]]:
        return {name: _firing(server, shipped) for name, shipped in all_shipped.items()}

    until(lambda: found() == fired, lambda: f"fire: {found()}", _SLOWEST)
