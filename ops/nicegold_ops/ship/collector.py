"""What the shipper does, in Prometheus's form."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric as Family
from prometheus_client.registry import Collector as Base

from nicegold_ops.errors import NicegoldError
from nicegold_ops.ship.shipper import SINK, Shipper
from nicegold_ops.telemetry import metrics


class Collector(Base):
    """Asks *shipper*, and through it the store, at each scrape."""

    def __init__(self, shipper: Shipper) -> None:
        self._shipper = shipper

    def collect(self) -> Iterator[Family]:
        """Its families; how much is behind is left out where the store does not answer."""
        yield metrics.AUDIT_SHIP.family(
            ((SINK, result), count) for result, count in list(self._shipper.results.items())
        )
        yield metrics.HEARTBEAT.family([(("shipper",), self._shipper.beat / 1e9)])
        try:
            count, oldest = self._shipper.behind()
        except NicegoldError:
            return
        yield metrics.AUDIT_OUTBOX.family([((), count)])
        yield metrics.AUDIT_OUTBOX_OLDEST.family([((), oldest / 1e9)])
