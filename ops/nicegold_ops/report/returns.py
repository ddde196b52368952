"""Figures of a run's daily returns and of what it began and ended with; None where one has no meaning.

A return is a part of one, so 0.01 is one percent, and a loss is told as a positive part. The
risk-free rate and the target are 0.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt

#: Trading days a year, for annualizing what is measured by day: the convention for what trades
#: from Monday to Friday. Gold and currencies close about 258 times a year, which would make a
#: Sharpe ratio 1.2 % greater; but nobody prints it so.
DAYS = 252
#: The same for what trades on Saturdays too.
DAYS_WITH_WEEKENDS = 365
_DAYS_OF_CALENDAR = 365.25
#: Returns that deviate less than this part of their mean are equal but for rounding.
EQUAL = 1e-9
#: A return of fewer days than these says nothing about a year.
SHORTEST_YEARS = 30 / _DAYS_OF_CALENDAR
#: The logarithm of the largest number.
_LARGEST = math.log(sys.float_info.max)
_EPOCH = date(1970, 1, 1)
_FRIDAY, _SATURDAY = 4, 5

_Floats = npt.NDArray[np.float64]


def total_return(start: float, end: float) -> float | None:
    """end / start - 1."""
    return end / start - 1.0 if start > 0 else None


def annual_return(start: float, end: float, years: float) -> float | None:
    """(end / start)^(1 / years) - 1, the compound annual growth rate; None for less than 30 days.

    GIPS (CFA Institute, 2020) forbids to annualize less than a year: read it with care below that.
    """
    if start <= 0 or years < SHORTEST_YEARS:
        return None
    logarithm = (math.log(end) - math.log(start)) / years if end > 0 else -math.inf
    return math.expm1(logarithm) if logarithm < _LARGEST else None


def years_of(days: Iterable[int]) -> float:
    """The years of 365.25 days that trading *days*, counted from 1970 and sorted, cover.

    The first and the last day both count: a run begins with the close of the day before its first.
    """
    covered = list(days)
    return (covered[-1] - covered[0] + 1) / _DAYS_OF_CALENDAR if covered else 0.0


def days_a_year_of(days: Iterable[int]) -> int:
    """365 where trading *days*, counted from 1970, have a Saturday for more than each second Friday.

    252 otherwise.
    """
    weekdays = [(day + _EPOCH.weekday()) % 7 for day in days]
    trades_on_weekends = 2 * weekdays.count(_SATURDAY) > weekdays.count(_FRIDAY)
    return DAYS_WITH_WEEKENDS if trades_on_weekends else DAYS


def daily_returns(closes: Sequence[float]) -> list[float]:
    """The part that each day's closing equity gained on the day before's.

    A day that begins with nothing, or with debts, has none.
    """
    return [after / before - 1.0 for before, after in pairwise(closes) if before > 0]


def monthly_returns(start: float, closes: Mapping[int, float]) -> dict[str, float | None]:
    """The part gained in each month, such as "2024-03", that has a close.

    *closes* are by trading day, counted from 1970, oldest first; the first month begins at *start*.
    """
    last = {_month(day): close for day, close in closes.items()}
    before = [start, *last.values()]
    return {month: total_return(*pair) for month, pair in zip(last, pairwise(before), strict=True)}


def _month(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()[:7]


def annual_volatility(returns: Sequence[float], days: float = DAYS) -> float | None:
    """Standard deviation (sample) of *returns*, times sqrt(*days*)."""
    return deviation(returns) * math.sqrt(days) if len(returns) > 1 else None


def sharpe(returns: Sequence[float], days: float = DAYS) -> float | None:
    """Mean over standard deviation (sample) of *returns*, times sqrt(*days*).

    Sharpe, The Sharpe Ratio, Journal of Portfolio Management, 1994. Multiplying by the root takes
    the returns for independent of each other: Lo, The Statistics of Sharpe Ratios, 2002.
    """
    if len(returns) < 2:
        return None
    spread = deviation(returns)
    return math.fsum(returns) / len(returns) / spread * math.sqrt(days) if spread else None


def sortino(returns: Sequence[float], days: float = DAYS) -> float | None:
    """Mean over downside deviation of *returns*, times sqrt(*days*).

    The downside deviation is sqrt(mean(min(r, 0)^2)) over all days. Sortino and Price, 1994.
    """
    if not returns:
        return None
    mean = math.fsum(returns) / len(returns)
    downside = math.sqrt(math.fsum(min(each, 0.0) ** 2 for each in returns) / len(returns))
    return mean / downside * math.sqrt(days) if downside > 0 else None


def calmar(annual: float | None, max_drawdown: float) -> float | None:
    """The *annual* return over the maximum drawdown, of the whole run. Young, 1991, of 36 months."""
    return annual / max_drawdown if annual is not None and max_drawdown > 0 else None


def omega(returns: Sequence[float]) -> float | None:
    """Sum of the gains over sum of the losses of *returns*; None without a loss.

    Keating and Shadwick, A Universal Performance Measure, 2002, at a threshold of 0.
    """
    losses = -math.fsum(each for each in returns if each < 0)
    return math.fsum(each for each in returns if each > 0) / losses if losses > 0 else None


def tail_ratio(returns: Sequence[float]) -> float | None:
    """How far the best twentieth of days reaches, over how far the worst does: |p95| / |p5|."""
    if not returns:
        return None
    best, worst = np.abs(np.quantile(returns, [0.95, 0.05])).tolist()
    return best / worst if worst > 0 else None


def skew(returns: Sequence[float]) -> float | None:
    """Third central moment over the cube of the standard deviation (both of the population)."""
    scaled = _standardized(returns)
    return None if scaled is None else float(np.mean(scaled**3))


def kurtosis(returns: Sequence[float]) -> float | None:
    """Fourth central moment over the square of the variance (both of the population).

    It is 3 for a normal distribution; others print what it is above 3.
    """
    scaled = _standardized(returns)
    return None if scaled is None else float(np.mean(scaled**4))


def value_at_risk(returns: Sequence[float], level: float = 0.95) -> float | None:
    """The loss of a day that *level* of the days stayed within: the historical quantile, turned round.

    Between two days it is interpolated. Negative where even that day gained. Jorion, Value at Risk.
    """
    return -float(np.quantile(returns, 1.0 - level)) if returns else None


def conditional_value_at_risk(returns: Sequence[float], level: float = 0.95) -> float | None:
    """The mean loss of the days that lost the value at risk or more; also: expected shortfall.

    Acerbi and Tasche, On the Coherence of Expected Shortfall, 2002.
    """
    if not returns:
        return None
    values = np.asarray(returns)
    return -float(values[values <= np.quantile(values, 1.0 - level)].mean())


def deviation(returns: Sequence[float]) -> float:
    """Standard deviation (sample) of two *returns* or more; 0 where they differ by rounding only."""
    mean = math.fsum(returns) / len(returns)
    found = math.sqrt(math.fsum((each - mean) ** 2 for each in returns) / (len(returns) - 1))
    return found if found > abs(mean) * EQUAL else 0.0


def _standardized(returns: Sequence[float]) -> _Floats | None:
    if len(returns) < 2 or not deviation(returns):
        return None
    values = np.asarray(returns)
    return np.asarray((values - values.mean()) / values.std(), np.float64)
