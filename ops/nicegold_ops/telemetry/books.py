"""The portfolio's figures, read at scrape time from another thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from nicegold import NoRate, Portfolio
from nicegold_ops.telemetry.metrics import Labels

Value = TypeVar("Value")

_TRIES = 10


class Books:
    """Gauges of *portfolio*.

    The trading thread does not wait for a scrape, so a figure may be of the middle of a fill. What
    cannot be told is left out: a currency without a rate, or books that changed at every try.
    """

    def __init__(self, portfolio: Portfolio) -> None:
        self._portfolio = portfolio
        self._peak = 0.0

    def equity(self) -> list[tuple[Labels, float]]:
        """Cash and unrealized profit, by the account's currency."""
        return [((self._portfolio.currency,), equity) for equity in self._read(self._equity)]

    def drawdown(self) -> list[tuple[Labels, float]]:
        """The part of the highest equity seen here that is lost."""
        for equity in self._read(self._equity):
            self._peak = max(self._peak, equity)
            return [((), 1.0 - equity / self._peak)] if self._peak else []
        return []

    def margin_usage(self) -> list[tuple[Labels, float]]:
        """Margin as a part of equity."""
        return [((), usage) for usage in self._read(self._margin_usage)]

    def positions(self) -> list[tuple[Labels, float]]:
        """Lots by symbol; all instruments are there from the first on."""
        lots = self._portfolio.position
        return [((symbol,), float(lots(symbol).quantity)) for symbol in list(self._portfolio.instruments)]

    def _equity(self) -> float:
        return self._portfolio.equity

    def _margin_usage(self) -> float:
        return float(self._portfolio.margin) / self._portfolio.equity

    def _read(self, figure: Callable[[], Value]) -> list[Value]:
        for _ in range(_TRIES):
            try:
                return [figure()]
            except RuntimeError:  # a position was added while we went through them
                continue
            except (NoRate, KeyError, ZeroDivisionError):
                break
        return []
