"""A limit on what we give back."""

from __future__ import annotations

from decimal import Decimal

from nicegold import Account, Portfolio, hookimpl, plugin


@plugin
class MaxDrawdown:
    """Ask for a halt once equity is *percent* or more below the highest it has been in this run.

    The run begins with the account's cash. A halt stops new risk, not the orders that can only
    reduce, and it lasts: a recovery does not lift it.
    """

    percent: Decimal

    def __post_init__(self) -> None:
        if not (self.percent.is_finite() and 0 < self.percent <= 100):
            raise ValueError(f"percent must be above 0 and at most 100: it is {self.percent}")
        self._kept = 1 - float(self.percent) / 100
        self._peak = self._floor = 0.0

    @hookimpl
    def startup(self, account: Account) -> None:
        self._rise(float(account.cash))

    @hookimpl
    def check_portfolio(self, portfolio: Portfolio) -> str | None:
        equity = portfolio.equity
        if equity > self._peak:
            self._rise(equity)
        if not equity > self._floor:  # written so that NaN asks
            fallen = (1 - equity / self._peak) * 100
            return (
                f"equity {equity:.2f} {portfolio.currency} is {fallen:.2f} % below its peak "
                f"{self._peak:.2f}, limit is {self.percent} %"
            )
        return None

    def _rise(self, equity: float) -> None:
        self._peak, self._floor = equity, equity * self._kept
