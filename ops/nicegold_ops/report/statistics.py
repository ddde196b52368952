"""The figures that traders ask for first. Each says its formula; None where it has no meaning."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

#: Trading days in a year, for annualizing.
DAYS = 252
#: Returns that deviate less than this part of their mean are equal but for rounding.
_EQUAL = 1e-9


def total_return(start: float, end: float) -> float | None:
    """end / start - 1."""
    return end / start - 1.0 if start > 0 else None


def daily_returns(closes: Sequence[float]) -> list[float]:
    """The part that each day's closing equity gained on the day before's."""
    return [after / before - 1.0 for before, after in pairwise(closes) if before > 0]


def sharpe(returns: Sequence[float]) -> float | None:
    """Mean over standard deviation (sample) of daily *returns*, times sqrt(252); risk-free rate 0.

    Sharpe, The Sharpe Ratio, Journal of Portfolio Management, 1994.
    """
    if len(returns) < 2:
        return None
    mean = math.fsum(returns) / len(returns)
    variance = math.fsum((each - mean) ** 2 for each in returns) / (len(returns) - 1)
    deviation = math.sqrt(variance)
    return mean / deviation * math.sqrt(DAYS) if deviation > abs(mean) * _EQUAL else None


def sortino(returns: Sequence[float]) -> float | None:
    """Mean over downside deviation of daily *returns*, times sqrt(252); target 0.

    The downside deviation is sqrt(mean(min(r, 0)^2)) over all days. Sortino and Price, 1994.
    """
    if not returns:
        return None
    mean = math.fsum(returns) / len(returns)
    downside = math.sqrt(math.fsum(min(each, 0.0) ** 2 for each in returns) / len(returns))
    return mean / downside * math.sqrt(DAYS) if downside > 0 else None


def monthly_returns(start: float, closes: Mapping[int, float]) -> dict[str, float | None]:
    """The part gained in each month, such as "2024-03", that has a close.

    *closes* are by trading day, counted from 1970, oldest first; the first month begins at *start*.
    """
    last = {_month(day): close for day, close in closes.items()}
    before = [start, *last.values()]
    return {month: total_return(*pair) for month, pair in zip(last, pairwise(before), strict=True)}


def _month(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()[:7]


def profit_factor(profits: Sequence[Decimal]) -> float | None:
    """Sum of the gains over sum of the losses of trades, costs taken off; None without losses."""
    losses = -sum((each for each in profits if each < 0), Decimal(0))
    gains = sum((each for each in profits if each > 0), Decimal(0))
    return float(gains / losses) if losses else None
