"""What became of what a person should be told."""

from __future__ import annotations

from collections.abc import Callable

from nicegold_ops.telemetry.counts import Counts, Histograms, LabelGuard

SEVERITIES = ("info", "warning", "critical")
DELIVERED, FAILED = "delivered", "failed"
#: s.
BOUNDS = (0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Notices:
    """Counts alerts that the notifiers were told. One thread tells; any may read."""

    def __init__(self, guard: LabelGuard) -> None:
        self.told = Counts(guard)
        self.latency = Histograms(guard, BOUNDS)
        #: How many wait, and how many found no room: whoever queues them says.
        self.waiting: Callable[[], int] = int
        self.dropped: Callable[[], int] = int
        for severity in SEVERITIES:
            self.latency.child(severity)
            for outcome in (DELIVERED, FAILED):
                self.told.cell(severity, outcome)

    def take(self, severity: str, seconds: float, failures: int) -> None:
        """An alert was told, *seconds* after it was queued; so many notifiers failed."""
        self.told.add(severity, FAILED if failures else DELIVERED)
        self.latency.observe(seconds, severity)
