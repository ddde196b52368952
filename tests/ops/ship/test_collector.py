from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prometheus_client.registry import CollectorRegistry

from nicegold_ops.audit.checkpoint import Notary
from nicegold_ops.audit.document import Document
from nicegold_ops.audit.signing import PrivateKey
from nicegold_ops.ship.collector import Collector
from nicegold_ops.ship.elasticsearch import Arrived
from nicegold_ops.ship.shipper import Shipper
from nicegold_ops.telemetry import metrics
from tests.ops.audit.test_checkpoint import pem
from tests.ops.test_witness import lived

WALL = 1_795_831_093_000_000_000


class Nowhere:
    """Takes everything."""

    def prepare(self) -> bool:
        return True

    def send(self, documents: Sequence[Document]) -> Arrived:
        return Arrived(len(documents), 0)


def test_what_is_behind_and_what_was_done_is_told(tmp_path: Path):
    app = lived(tmp_path, bars=60)
    shipper = Shipper(app.store, Nowhere(), wait=lambda _: False, chance=lambda: 0.0, wall=lambda: WALL)
    notary = Notary(app.store, PrivateKey(pem()), None, lambda: WALL)
    registry = CollectorRegistry()
    registry.register(Collector(shipper, notary))

    before = values(registry)
    shipper.run(until_done=True)
    notary.run(lambda _: True, 60.0)
    after = values(registry)

    assert {metric.name for metric in metrics.METRICS if metric.name.startswith("nicegold_audit_")} < {
        name.partition("{")[0] for name in after
    }
    assert before["nicegold_audit_outbox_records"] > 10
    assert before["nicegold_audit_outbox_oldest_timestamp_seconds"] > 0
    assert (0, 0) == (
        after["nicegold_audit_outbox_records"],
        after["nicegold_audit_outbox_oldest_timestamp_seconds"],
    )
    assert (0, WALL / 1e9) == tuple(
        each["nicegold_audit_checkpoint_timestamp_seconds"] for each in (before, after)
    )
    created = "nicegold_audit_ship_total{elasticsearch,created}"
    assert (0, True) == (before[created], after[created] > 30)
    assert [WALL / 1e9] * 2 == [
        after[f"nicegold_heartbeat_timestamp_seconds{{{each}}}"] for each in ("shipper", "notary")
    ]
    assert 60.0 == after["nicegold_audit_checkpoint_interval_seconds"]
    app.close()


def values(registry: CollectorRegistry) -> dict[str, float]:
    return {
        sample.name + (f"{{{','.join(sample.labels.values())}}}" if sample.labels else ""): sample.value
        for family in registry.collect()
        for sample in family.samples
    }
