"""How often the venues were asked what they believe, and how their books differ from ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from nicegold import Break, Portfolio
from nicegold_ops.telemetry.counts import Counts, LabelGuard
from nicegold_ops.telemetry.metrics import Labels

#: What a break can be of.
KINDS = ("order", "position", "cash", "clock")
ANSWERED, FAILED = "answered", "failed"


class Venues:
    """Counts what became of each question, and reads *portfolio* for what differs.

    *wall* is ns UTC. Only venues that can be asked are told of: whoever asks says so with `expect`.
    """

    def __init__(self, guard: LabelGuard, wall: Callable[[], int]) -> None:
        self.portfolio: Portfolio | None = None
        self.runs = Counts(guard)
        self._wall = wall
        self._answered: dict[str, int] = {}

    def expect(self, brokers: Iterable[str]) -> None:
        """These will be asked: they are told of from now on, with nothing that they have answered."""
        for broker in brokers:
            self._answered.setdefault(broker, 0)
            for outcome in (ANSWERED, FAILED):
                self.runs.cell(broker, outcome)

    def asked(self, broker: str, has_answered: bool) -> None:
        """*broker* was asked for a statement."""
        self.runs.add(broker, ANSWERED if has_answered else FAILED)
        if has_answered:
            self._answered[broker] = self._wall()

    def last(self) -> list[tuple[Labels, float]]:
        """When each last answered, s UTC."""
        return [((broker,), time / 1e9) for broker, time in list(self._answered.items())]

    def breaks(self) -> list[tuple[Labels, float]]:
        """Differences that nothing explains, by broker and kind; all kinds are there from the first on."""
        found = Counter((each.broker, each.kind) for each in self._breaks())
        kinds = {(broker, kind): 0 for broker in list(self._answered) for kind in KINDS}
        return [(labels, float(count)) for labels, count in {**kinds, **found}.items()]

    def agreed(self) -> list[tuple[Labels, float]]:
        """1 for each broker whose venue's books agree with ours, 0 until they have been found to."""
        known = set() if self.portfolio is None else set(self.portfolio.reconciled)
        differ = {each.broker for each in self._breaks()}
        return [((broker,), float(broker in known - differ)) for broker in list(self._answered)]

    def _breaks(self) -> list[Break]:
        # list() copies in one step under the interpreter lock; a loop could meet a change.
        return [] if self.portfolio is None else list(self.portfolio.breaks.values())
