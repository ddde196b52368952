"""What `nicegold work` does, in Prometheus's form."""

from __future__ import annotations

from collections.abc import Iterator
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


class Collector(Base):
    """Asks *shipper*, and through it the store, *notary*, *errors* and *secrets* at each scrape."""

    def __init__(
        self,
        shipper: Shipper | None,
        notary: Notary | None,
        errors: Errors | None = None,
        secrets: Secrets | None = None,
    ) -> None:
        self._shipper = shipper
        self._notary = notary
        self._errors = errors
        self._secrets = secrets

    def collect(self) -> Iterator[Family]:
        """Their families; how much is behind is left out where the store does not answer."""
        yield build_info()
        yield from lent_to(self._secrets)
        yield metrics.HEARTBEAT.family(self._beats())
        if self._errors is not None:
            yield metrics.TELEMETRY_EXPORTED.family([(("error",), self._errors.exported())])
            yield metrics.TELEMETRY_DROPPED.family(
                (("error", reason), count) for reason, count in self._errors.dropped().items()
            )
        if self._notary is not None:
            yield metrics.AUDIT_CHECKPOINT.family([((), self._notary.newest / 1e9)])
            every = self._notary.every
            yield metrics.AUDIT_CHECKPOINT_INTERVAL.family([((), every)] if every else [])
        if self._shipper is not None:
            yield from self._ship(self._shipper)

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
