"""The figures that traders ask for first. Each says its formula; None where it has no meaning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

#: Trading days in a year, for annualizing.
DAYS = 252


def total_return(start: float, end: float) -> float | None:
    """end / start - 1."""
    return end / start - 1.0 if start > 0 else None


def daily_returns(closes: Sequence[float]) -> list[float]:
    """The part that each day's closing equity gained on the day before's."""
    return [after / before - 1.0 for before, after in zip(closes, closes[1:], strict=False) if before > 0]


def sharpe(returns: Sequence[float]) -> float | None:
    """Mean over standard deviation (sample) of daily *returns*, times sqrt(252); risk-free rate 0.

    Sharpe, The Sharpe Ratio, Journal of Portfolio Management, 1994.
    """
    if len(returns) < 2:
        return None
    mean = math.fsum(returns) / len(returns)
    variance = math.fsum((each - mean) ** 2 for each in returns) / (len(returns) - 1)
    return mean / math.sqrt(variance) * math.sqrt(DAYS) if variance > 0 else None


def sortino(returns: Sequence[float]) -> float | None:
    """Mean over downside deviation of daily *returns*, times sqrt(252); target 0.

    The downside deviation is sqrt(mean(min(r, 0)^2)) over all days. Sortino and Price, 1994.
    """
    if not returns:
        return None
    mean = math.fsum(returns) / len(returns)
    downside = math.sqrt(math.fsum(min(each, 0.0) ** 2 for each in returns) / len(returns))
    return mean / downside * math.sqrt(DAYS) if downside > 0 else None


def profit_factor(profits: Sequence[Decimal]) -> float | None:
    """Sum of the gains over sum of the losses of trades, costs taken off; None without losses."""
    losses = -sum((each for each in profits if each < 0), Decimal(0))
    gains = sum((each for each in profits if each > 0), Decimal(0))
    return float(gains / losses) if losses else None
