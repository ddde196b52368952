"""What `nicegold work` does, in Prometheus's form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import Metric as Family
from prometheus_client.registry import Collector as Base

from nicegold_ops.audit.checkpoint import Notary
from nicegold_ops.errors import NicegoldError
from nicegold_ops.ship.shipper import SINK, Shipper
from nicegold_ops.telemetry import metrics
from nicegold_ops.telemetry.collector import build_info, lent_to

if TYPE_CHECKING:
    from nicegold_ops.secrets import Secrets
    from nicegold_ops.telemetry.errors import Errors
    from nicegold_ops.telemetry.tracer import Queue


class Collector(Base):
    """Asks *shipper*, and through it the store, *notary*, *errors*, *secrets* and *traces* at each scrape."""

    def __init__(
        self,
        shipper: Shipper | None,
        notary: Notary | None,
        errors: Errors | None = None,
        secrets: Secrets | None = None,
        traces: Queue | None = None,
    ) -> None:
        self._shipper = shipper
        self._notary = notary
        self._errors = errors
        self._secrets = secrets
        self._traces = traces

    def collect(self) -> Iterator[Family]:
        """Their families; how much is behind is left out where the store does not answer."""
        yield build_info()
        yield from lent_to(self._secrets)
        yield metrics.HEARTBEAT.family(self._beats())
        yield metrics.TELEMETRY_EXPORTED.family(((name,), count) for name, count, _ in self._telemetry())
        yield metrics.TELEMETRY_DROPPED.family(
            ((name, reason), count)
            for name, _, dropped in self._telemetry()
            for reason, count in dropped.items()
        )
        if self._notary is not None:
            yield metrics.AUDIT_CHECKPOINT.family([((), self._notary.newest / 1e9)])
            every = self._notary.every
            yield metrics.AUDIT_CHECKPOINT_INTERVAL.family([((), every)] if every else [])
        if self._shipper is not None:
            yield from self._ship(self._shipper)

    def _telemetry(self) -> Iterator[tuple[str, int, Mapping[str, int]]]:
        """What is told of us, by signal: how much arrived, and what did not, by reason."""
        if self._errors is not None:
            yield "error", self._errors.exported(), self._errors.dropped()
        if self._traces is not None:
            yield "trace", self._traces.exported, dict(self._traces.dropped)

    def _beats(self) -> Iterator[tuple[metrics.Labels, float]]:
        if self._shipper is not None:
            yield ("shipper",), self._shipper.beat / 1e9
        if self._notary is not None:
            yield ("notary",), self._notary.beat / 1e9

    def _ship(self, shipper: Shipper) -> Iterator[Family]:
        yield metrics.AUDIT_SHIP.family(
            ((SINK, result), count) for result, count in list(shipper.results.items())
        )
        try:
            count, oldest = shipper.behind()
        except NicegoldError:
            return
        yield metrics.AUDIT_OUTBOX.family([((), count)])
        yield metrics.AUDIT_OUTBOX_OLDEST.family([((), oldest / 1e9)])
