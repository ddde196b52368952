"""How fast the audit trail reaches a real Elasticsearch, beside bare `client.bulk` of the same documents."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from elasticsearch import Elasticsearch
from msgspec.structs import replace

from nicegold import Accepted, Event, Started
from nicegold.testing import GOLD, START
from nicegold_ops.audit.proof import proofs
from nicegold_ops.audit.trail import documents
from nicegold_ops.journal import Run
from nicegold_ops.projected import ProjectedJournal
from nicegold_ops.ship.elasticsearch import AuditStream, template
from nicegold_ops.ship.shipper import Shipper
from nicegold_ops.store.place import open_store
from tests.bench.walk import scratch
from tests.ops.audit.test_document import FILL, ORDER
from tests.services.elasticsearch import elasticsearch

#: The part of the bare client's speed that is wanted.
LEAST = 0.5
#: Documents in a bulk of the floor, as many as the shipper has in a page.
_AT_ONCE = 1000
_RUN = "run"


class Shipping(msgspec.Struct, frozen=True):
    """Seconds for *count* documents by the bare client, and from the store to the data stream.

    *sound* is whether the count, the set of ids and the chain agree at the end.
    """

    count: int
    floor: float
    shipped: float
    sound: bool

    @property
    def ratio(self) -> float:
        """Our speed as a part of the floor's."""
        return self.floor / self.shipped


def measure(count: int) -> Shipping | None:
    """*count* documents; None where there is no Elasticsearch."""
    try:
        with elasticsearch("9.0.8") as node, scratch() as folder:
            store = open_store(Path(folder) / "journal.sqlite", durable=False)
            _write(store, count)
            client = Elasticsearch(node.url, max_retries=0, request_timeout=60)
            floor = _floor(client, store)
            found = _shipped(client, store, floor)
            store.dispose()
            return found
    except pytest.skip.Exception:
        return None


def _write(store: sa.Engine, count: int) -> None:
    """A run that tells of so many events: orders that are accepted and filled."""
    cause = [0]
    journal = ProjectedJournal(
        store, Run(_RUN, "paper", 1), cause=cause, wall=lambda: START, durable=False, by_reference=False
    )
    started = Started(
        version="0", seed=0, cash=Decimal(1), currency="USD", instruments=[GOLD], configuration="", sources={}
    )
    journal.record(started)
    for number in range((count - 1) // 3):
        for event in _life(f"cross-{number}"):
            cause[0] = journal.sequence + 1
            journal.record(event)
    journal.flush()


def _life(order_id: str) -> tuple[Event, ...]:
    fill = replace(FILL, order_id=order_id, trade_id=f"{order_id}-1")
    return replace(ORDER, id=order_id), Accepted(order_id=order_id, time=START), fill


def _floor(client: Elasticsearch, store: sa.Engine) -> float:
    """Seconds of the client alone, with documents that are made before."""
    name = "logs-nicegold.audit-floor"
    client.indices.put_index_template(name=name, **template(name, None))
    made = list(documents(store, _RUN))
    spent = 0.0
    for first in range(0, len(made), _AT_ONCE):
        part = made[first : first + _AT_ONCE]
        operations = [line for each in part for line in ({"create": {"_id": each["event.id"]}}, each)]
        began = time.perf_counter()
        answer = client.bulk(index=name, operations=operations)
        spent += time.perf_counter() - began
        assert not answer["errors"]
    return spent


def _shipped(client: Elasticsearch, store: sa.Engine, floor: float) -> Shipping:
    stream = AuditStream(client)
    shipper = Shipper(store, stream, wait=lambda _: False, chance=lambda: 0.0, wall=lambda: START)
    began = time.perf_counter()
    shipper.run(until_done=True)
    seconds = time.perf_counter() - began
    client.indices.refresh(index=stream.name)
    expected = [each["event.id"] for each in documents(store, _RUN)]
    arrived = _ids(stream)
    sound = sorted(expected) == arrived and not any(each.fault for each in proofs(store, stream))
    return Shipping(len(expected), floor, seconds, sound)


def _ids(stream: AuditStream) -> list[str]:
    """All that are there, sorted."""
    found: list[str] = []
    body: dict[str, object] = {"size": 10_000, "sort": [{"event.id": "asc"}], "_source": False}
    while page := stream.search(body)["hits"]["hits"]:
        found += [each["_id"] for each in page]
        body["search_after"] = page[-1]["sort"]
    return found
