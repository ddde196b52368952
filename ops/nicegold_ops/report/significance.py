"""Whether a run was more than luck: intervals, the odds of chance, and what many tries do to a Sharpe ratio.

The Sharpe ratios of the first three functions are those of a period, such as a day: not annualized.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import msgspec
import numpy as np
import numpy.typing as npt

from nicegold_ops.report.bootstrap import batches, block_length, resampled
from nicegold_ops.report.payoffs import Payoffs
from nicegold_ops.report.returns import DAYS, EQUAL, SHORTEST_YEARS, deviation, kurtosis, sharpe, skew

#: Fewer returns or trades than these, drawn again, only repeat themselves.
FEWEST = 20
#: Runs drawn: the end of a 95 % interval then moves by about a sixtieth of its width with the seed.
RESAMPLES = 2000
_LEVEL = 0.95
_NORMAL = NormalDist()
_EULER_MASCHERONI = float(np.euler_gamma)

_Floats = npt.NDArray[np.float64]


def probabilistic_sharpe(
    sharpe: float, periods: int, skew: float, kurtosis: float, benchmark: float = 0.0
) -> float | None:
    """The probability that the true Sharpe ratio is above *benchmark*, when *sharpe* was seen.

    Z((SR - SR*) sqrt(T - 1) / sqrt(1 - skew SR + (kurtosis - 1) / 4 SR^2)), *kurtosis* of a normal
    distribution being 3. None for less than two *periods* or moments that no distribution has.
    Bailey and López de Prado, The Sharpe Ratio Efficient Frontier, Journal of Risk, 2012.
    """
    variance = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if periods < 2 or not variance > 0:
        return None
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt((periods - 1) / variance))


def expected_best_sharpe(trials: int, variance: float) -> float:
    """The Sharpe ratio that the best of *trials* without any skill is expected to show.

    sqrt(V) ((1 - g) Z^-1(1 - 1/N) + g Z^-1(1 - 1/(N e))) with g the Euler-Mascheroni constant;
    *variance* is that of the trials' Sharpe ratios, and *trials* the independent ones. One trial is
    no choice: 0. Bailey and López de Prado, The Deflated Sharpe Ratio, Journal of Portfolio
    Management, 2014. Raises ValueError for less than one trial or a negative variance.
    """
    if trials < 1 or not variance >= 0:
        raise ValueError(
            f"{trials} trials with a variance of {variance} have no best: "
            "give one trial or more, and a variance of 0 or more"
        )
    if trials == 1:
        return 0.0
    quantile = _NORMAL.inv_cdf
    best = (1.0 - _EULER_MASCHERONI) * quantile(1.0 - 1.0 / trials)
    return math.sqrt(variance) * (best + _EULER_MASCHERONI * quantile(1.0 - 1.0 / (trials * math.e)))


def deflated_sharpe(returns: Sequence[float], trials: int, variance: float) -> float | None:
    """The probability that the best of *trials* has skill: that its Sharpe ratio beats the luckiest one's.

    *returns* are the best trial's, *variance* is that of the trials' Sharpe ratios, all of the same
    period. None where the Sharpe ratio has no meaning. Source and errors: `expected_best_sharpe`.
    """
    benchmark = expected_best_sharpe(trials, variance)
    found, third, fourth = sharpe(returns, 1), skew(returns), kurtosis(returns)
    if found is None or third is None or fourth is None:
        return None
    return probabilistic_sharpe(found, len(returns), third, fourth, benchmark)


class Interval(msgspec.Struct, frozen=True):
    """Where a figure lies with the confidence that was asked for."""

    low: float
    high: float


class Intervals(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a run's daily returns with what they may be worth, at a confidence of *level*.

    They are quantiles over *resamples* runs of blocks of *block* days on average. None for a figure
    that had no meaning in too many of them. *max_drawdown* is by daily closes.
    """

    level: float
    resamples: int
    block: float
    annual_return: Interval | None
    annual_volatility: Interval | None
    max_drawdown: Interval | None
    sharpe: Interval | None
    sortino: Interval | None


def bootstrap_intervals(
    returns: Sequence[float],
    years: float,
    seed: int,
    *,
    days: float = DAYS,
    level: float = _LEVEL,
    resamples: int = RESAMPLES,
    block: float | None = None,
) -> Intervals | None:
    """Intervals for the figures of daily *returns* over *years*; None for less than 20 days.

    *days* a year annualize, and *block* is what `block_length` says unless it is given. The same
    *seed* gives the same intervals. Efron and Tibshirani, An Introduction to the Bootstrap, 1993:
    percentile intervals.
    """
    if len(returns) < FEWEST:
        return None
    block = block_length(returns) if block is None else block
    generator = np.random.default_rng(seed)
    figures = [_figures(rows, years, days) for rows in resampled(returns, resamples, block, generator)]
    yearly, volatility, drawdown, ratio, downside = (
        _interval(np.concatenate(each), level) for each in zip(*figures, strict=True)
    )
    return Intervals(
        level=level,
        resamples=resamples,
        block=block,
        annual_return=yearly if years >= SHORTEST_YEARS else None,
        annual_volatility=volatility,
        max_drawdown=drawdown,
        sharpe=ratio,
        sortino=downside,
    )


def _figures(rows: _Floats, years: float, days: float) -> list[_Floats]:
    """Those of `Intervals`, of each of the runs in *rows*; NaN or infinite where one has no meaning."""
    mean, spread, root = rows.mean(axis=1), rows.std(axis=1, ddof=1), math.sqrt(days)
    volatility = np.where(spread > np.abs(mean) * EQUAL, spread, 0.0) * root
    downside = np.sqrt(np.square(np.minimum(rows, 0.0)).mean(axis=1)) * root
    # What lost everything stays at nothing.
    growth = np.cumprod(np.maximum(1.0 + rows, 0.0), axis=1)
    drawdown = (1.0 - growth / np.maximum(np.maximum.accumulate(growth, axis=1), 1.0)).max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        yearly = growth[:, -1] ** (1.0 / years) - 1.0
        return [yearly, volatility, drawdown, mean * days / volatility, mean * days / downside]


def _interval(figures: _Floats, level: float) -> Interval | None:
    tail = (1.0 - level) / 2.0
    known = figures[np.isfinite(figures)]
    if len(known) < (1.0 - tail) * len(figures):
        return None
    low, high = np.quantile(known, [tail, 1.0 - tail]).tolist()
    return Interval(low, high)


def chance_of_mean(
    returns: Sequence[float], seed: int, *, resamples: int = RESAMPLES, block: float | None = None
) -> float | None:
    """The p-value of a mean of daily *returns* above zero: how often chance alone would do as well.

    The share of *resamples* runs, drawn in blocks from the returns less their mean, whose mean is
    at least that of *returns*; the run itself counts as one of them, so it is never 0. None for
    less than 20 days, or days that are all equal. Politis and Romano, 1994; Davison and Hinkley,
    Bootstrap Methods and their Application, 1997, section 4.4.
    """
    if len(returns) < FEWEST or not deviation(returns):
        return None
    values = np.asarray(returns)
    block = block_length(returns) if block is None else block
    drawn = resampled((values - values.mean()).tolist(), resamples, block, np.random.default_rng(seed))
    return _share_of_luck(np.concatenate([rows.mean(axis=1) for rows in drawn]), values / len(values))


def chance_of_trades(payoffs: Payoffs, seed: int, *, resamples: int = RESAMPLES) -> float | None:
    """The p-value of a mean payoff above zero: how often it would be as high if each sign were a coin's.

    A randomization test: of *resamples* runs in which each trade won or lost its amount by chance,
    the share that earned at least as much; the run itself counts as one of them. It takes the
    trades for independent, and payoffs for as likely to win as to lose the same. None for less
    than 20 trades that won or lost. Fisher, The Design of Experiments, 1935, section 21.
    """
    amounts = np.array([float(each) for each in payoffs if each])
    if len(amounts) < FEWEST:
        return None
    generator = np.random.default_rng(seed)
    drawn = [_signs(rows, len(amounts), generator) @ amounts for rows in batches(resamples, len(amounts))]
    return _share_of_luck(np.concatenate(drawn), amounts)


def _signs(rows: int, size: int, generator: np.random.Generator) -> _Floats:
    return 2.0 * generator.integers(0, 2, (rows, size), np.int8) - 1.0


def _share_of_luck(drawn: _Floats, parts: _Floats) -> float:
    """The share of *drawn*, and of the sum of *parts* that was seen, that is at least that sum."""
    # Equal wins and losses often come to the same, but for what rounding makes of it.
    rounding = np.abs(parts).sum() * EQUAL
    as_good = int((drawn >= parts.sum() - rounding).sum())
    return (1 + as_good) / (1 + len(drawn))


class Significance(msgspec.Struct, frozen=True, kw_only=True):
    """What speaks for a run and against chance; None where there are too few days or trades to say.

    The p-values are those of `chance_of_mean` and `chance_of_trades`, *probabilistic_sharpe* is the
    probability that the Sharpe ratio is above 0.
    """

    intervals: Intervals | None
    chance_of_mean: float | None
    chance_of_trades: float | None
    probabilistic_sharpe: float | None


def significance_of(
    returns: Sequence[float], payoffs: Payoffs, years: float, seed: int, *, days: float = DAYS
) -> Significance:
    """Of daily *returns* over *years* with *days* each, and of what the trades paid."""
    enough = len(returns) >= FEWEST
    return Significance(
        intervals=bootstrap_intervals(returns, years, seed, days=days),
        chance_of_mean=chance_of_mean(returns, seed),
        chance_of_trades=chance_of_trades(payoffs, seed),
        probabilistic_sharpe=deflated_sharpe(returns, 1, 0.0) if enough else None,
    )
