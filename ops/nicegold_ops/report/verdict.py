"""Whether chance explains a run, in one plain sentence."""

from __future__ import annotations

from nicegold_ops.report.result import Result

#: The usual bar, of which one in twenty runs without skill gets over by luck.
_LIKELY = 0.05


def verdict_of(result: Result) -> str:
    """What the odds say about *result*; that there are too few days or trades is an answer too.

    The odds are those of the daily returns, and of the trades where there are too few days.
    """
    if not result.trades and not result.positions:
        return "It did not trade, so there is nothing to judge."
    if result.final_equity <= result.initial_cash:
        return "It lost money: there is no gain for luck to explain."
    found = result.significance
    if found.chance_of_mean is not None:
        return _odds(found.chance_of_mean, "daily returns")
    if found.chance_of_trades is not None:
        return _odds(found.chance_of_trades, "trades")
    return "Too few days and trades to tell skill from luck."


def _odds(chance: float, of: str) -> str:
    seen = f"chance alone would do as well in {chance:.1%} of runs, judged by its {of}"
    if chance <= _LIKELY:
        return f"Hardly luck, if this was the only configuration tried: {seen}."
    return f"Luck explains it: {seen}, and 5% is the usual bar."
