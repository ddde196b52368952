"""Figures of what closed trades paid, costs taken off; None where one has no meaning.

A trade is a part of a position from its entry to its exit, so a position that is closed in two
parts is two. What paid exactly nothing neither won nor lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from typing import TypeAlias

import numpy as np

from nicegold import SECOND
from nicegold_ops.report.returns import deviation
from nicegold_ops.report.trades import Trade

#: Account currency, or any other unit: all but `expectancy` and the medians are free of it.
Payoffs: TypeAlias = Sequence[Decimal] | Sequence[float]


def payoffs_of(trades: Sequence[Trade]) -> list[Decimal]:
    """What each of *trades* paid after its costs, account currency."""
    return [trade.profit - trade.costs for trade in trades]


def win_rate(payoffs: Payoffs) -> float | None:
    """The part of the trades that won."""
    return sum(each > 0 for each in payoffs) / len(payoffs) if payoffs else None


def profit_factor(payoffs: Payoffs) -> float | None:
    """Sum of the gains over sum of the losses; None without losses."""
    losses = -math.fsum(each for each in payoffs if each < 0)
    return math.fsum(each for each in payoffs if each > 0) / losses if losses else None


def expectancy(payoffs: Payoffs) -> float | None:
    """The mean payoff of a trade, in the unit of *payoffs*."""
    return math.fsum(payoffs) / len(payoffs) if payoffs else None


def median_payoff(payoffs: Payoffs) -> float | None:
    """As many trades paid more as paid less."""
    return float(np.median(np.asarray(payoffs, float))) if payoffs else None


def average_win(payoffs: Payoffs) -> float | None:
    """The mean payoff of the trades that won."""
    return _mean([float(each) for each in payoffs if each > 0])


def average_loss(payoffs: Payoffs) -> float | None:
    """The mean loss of the trades that lost, positive."""
    return _mean([-float(each) for each in payoffs if each < 0])


def expectancy_ratio(payoffs: Payoffs) -> float | None:
    """The mean payoff for each unit that a losing trade lost on average: expectancy in R.

    Tharp, Trade Your Way to Financial Freedom, 1998, where R is the risk at entry and the average
    loss stands for it where that is not known.
    """
    mean, loss = expectancy(payoffs), average_loss(payoffs)
    return mean / loss if mean is not None and loss else None


def payoff_ratio(payoffs: Payoffs) -> float | None:
    """The average win over the average loss."""
    win, loss = average_win(payoffs), average_loss(payoffs)
    return win / loss if win is not None and loss else None


def kelly(payoffs: Payoffs) -> float | None:
    """win rate - (1 - win rate) / payoff ratio: the part of the capital to risk; negative: none.

    Kelly, A New Interpretation of Information Rate, 1956, for a bet with two outcomes.
    """
    wins, ratio = win_rate(payoffs), payoff_ratio(payoffs)
    return wins - (1.0 - wins) / ratio if wins is not None and ratio else None


def system_quality(payoffs: Payoffs) -> float | None:
    """sqrt(trades) * mean / standard deviation (sample) of the payoffs.

    Tharp, Definitive Guide to Position Sizing, 2008: the system quality number, SQN. He counts at
    most 100 trades; here all count.
    """
    if len(payoffs) < 2:
        return None
    values = [float(each) for each in payoffs]
    spread = deviation(values)
    return math.fsum(values) / len(values) / spread * math.sqrt(len(values)) if spread else None


def longest_losing_run(payoffs: Payoffs) -> int:
    """The most trades that lost one after the other, in the order of their exits."""
    runs = groupby(each < 0 for each in payoffs)
    return max((len(list(run)) for lost, run in runs if lost), default=0)


def average_holding(trades: Sequence[Trade]) -> float | None:
    """The mean time from entry to exit, seconds."""
    return _mean([(trade.exit_time - trade.entry_time) / SECOND for trade in trades])


def average_trade_return(trades: Sequence[Trade]) -> float | None:
    """The mean part of its entry price that a trade gained on it, before costs."""
    return _mean(trade_returns(trades))


def trade_returns(trades: Sequence[Trade]) -> list[float]:
    """The part of its entry price that each of *trades* gained on it, before costs."""
    return [trade.side.sign * float(trade.exit_price / trade.entry_price - 1) for trade in trades]


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
