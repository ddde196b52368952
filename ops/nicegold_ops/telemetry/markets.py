"""When the instruments trade, by the clock that the run goes by, and how often its feeds should tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nicegold import Instrument, Sessions
from nicegold.sessions import SECOND
from nicegold_ops.telemetry.metrics import Labels

_MINUTE = 60 * SECOND


class Markets:
    """Read at each scrape: what is open now, and since when this run, begun at *began* (ns UTC), could trade.

    *now* is what our clock shows (ns UTC). Where recorded prices are read again, *market* tells what theirs
    shows instead: the hours are by that one, and since when is by ours, which knows nothing of theirs.
    *intervals* is, by feed, the seconds between two messages at most; *patience* the seconds without work
    after which /healthz says that the engine is stale.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        now: Callable[[], int],
        began: int,
        *,
        patience: float,
        market: Callable[[], int] | None = None,
        intervals: Mapping[str, float] | None = None,
    ) -> None:
        self._sessions = {symbol: each.sessions for symbol, each in instruments.items()}
        self._now = now
        self._began = began
        self._market = market
        self._intervals = dict(intervals or {})
        self._patience = patience

    def trading(self) -> list[tuple[Labels, float]]:
        """1 for each symbol that trades now, 0 for the others."""
        return [((symbol,), float(self._is_open(each))) for symbol, each in self._sessions.items()]

    def open_since(self) -> list[tuple[Labels, float]]:
        """Since when each symbol has been open in this run, s UTC; 0 while it is closed."""
        return [((symbol,), self._since(each) / SECOND) for symbol, each in self._sessions.items()]

    def intervals(self) -> list[tuple[Labels, float]]:
        """Seconds between two messages of each feed."""
        return [((feed,), seconds) for feed, seconds in self._intervals.items()]

    def patience(self) -> list[tuple[Labels, float]]:
        """Seconds without work after which the engine is stale."""
        return [((), self._patience)]

    def _is_open(self, sessions: Sessions) -> bool:
        if self._market is None:
            return sessions.is_open(self._now())
        # What is known at the close was traded before it.
        return sessions.is_open(self._market() - 1)

    def _since(self, sessions: Sessions) -> int:
        if not self._is_open(sessions):
            return 0
        return self._began if self._market is not None else opened(sessions, self._began, self._now())


def opened(sessions: Sessions, begin: int, end: int) -> int:
    """When the market that is open at *end* opened; *begin* if that was before (ns UTC)."""

    def was_open_from(time: int) -> bool:
        return sessions.open_time(time, end) >= end - time

    if was_open_from(begin):
        return begin
    closed, open_ = begin, end
    while open_ - closed > SECOND:
        middle = (closed + open_) // 2
        closed, open_ = (closed, middle) if was_open_from(middle) else (middle, open_)
    # Sessions open at whole minutes.
    return open_ // _MINUTE * _MINUTE
