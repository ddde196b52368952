"""What chance alone would show to somebody who tries so often, beside what the best trial shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import variance

import msgspec

from nicegold_ops.report.returns import sharpe
from nicegold_ops.report.significance import deflated_sharpe, expected_best_sharpe

#: A probability from which on chance is an unlikely explanation.
LIKELY = 0.95


class Luck(msgspec.Struct, frozen=True, kw_only=True):
    """The best trial against the luckiest of as many without skill.

    *trials* are all that were tried: *earlier* ones of the same strategy on the same data and
    *elsewhere* among them. The Sharpe ratios are annualized. *deflated_sharpe* is the probability
    that the best has skill. None where there is no Sharpe ratio, or nothing to compare.
    """

    trials: int
    earlier: int
    elsewhere: int
    sharpe: float | None
    expected_sharpe: float | None
    deflated_sharpe: float | None

    @property
    def sentence(self) -> str:
        """It in words."""
        tried = f"{self.trials:,} trials" if self.trials != 1 else "one trial"
        if self.sharpe is None or self.expected_sharpe is None:
            return f"After {tried} there is no Sharpe ratio to judge."
        found = (
            f"With {tried}, a Sharpe ratio of {_ratio(self.expected_sharpe)} is expected of the best "
            f"by chance alone; this one has {_ratio(self.sharpe)}."
        )
        if self.deflated_sharpe is None:
            return found
        believed = f"The probability that it is more than luck is {self.deflated_sharpe:.1%}"
        if self.deflated_sharpe >= LIKELY:
            return f"{found} {believed}."
        return f"{found} {believed}, which is too little to trade on."


def luck_of(
    returns: Sequence[float],
    sharpes: Iterable[float | None],
    days_a_year: int,
    *,
    trials: int,
    earlier: int = 0,
    elsewhere: int = 0,
) -> Luck:
    """Of a choice with these daily *returns* out of so many *trials*, *earlier* and *elsewhere* ones too.

    *sharpes* are the Sharpe ratios of a day that trials had; how far they lie apart says what luck
    can do. Trials that resemble each other are fewer than they look; all are counted, which errs
    on the strict side.
    """
    count = trials + earlier + elsewhere
    known = [each for each in sharpes if each is not None]
    spread = variance(known) if len(known) > 1 else None
    best = None if spread is None else expected_best_sharpe(count, spread)
    return Luck(
        trials=count,
        earlier=earlier,
        elsewhere=elsewhere,
        sharpe=sharpe(returns, days_a_year),
        expected_sharpe=None if best is None else best * math.sqrt(days_a_year),
        deflated_sharpe=None if spread is None else deflated_sharpe(returns, count, spread),
    )


def _ratio(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
