"""One sentence says what the odds are, and never more than they do."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from nicegold_ops.report.verdict import verdict_of
from tests.ops.report import sample


def verdict(equity: float = 110_000.0, **odds: Any) -> str:
    result = sample.result(30, final_equity=equity)
    known = {"chance_of_mean": None, "chance_of_trades": None, **odds}
    return verdict_of(replace(result, significance=replace(result.significance, **known)))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            verdict(chance_of_mean=0.031),
            "Hardly luck, if this was the only configuration tried: chance alone",
        ),
        (verdict(chance_of_mean=0.05), "Hardly luck"),
        (verdict(chance_of_mean=0.051), "Luck explains it: chance alone would do as well in 5.1% of runs"),
        (verdict(chance_of_mean=0.2, chance_of_trades=0.01), "Luck explains it"),
        (verdict(chance_of_trades=0.01), "Hardly luck"),
        (verdict(), "Too few days and trades to tell skill from luck."),
        (verdict(99_999.0, chance_of_mean=0.01), "It lost money: there is no gain for luck to explain."),
        (verdict_of(sample.empty()), "It did not trade, so there is nothing to judge."),
    ],
)
def test_the_verdict_is_what_the_odds_say(said, expected):
    assert said.startswith(expected)
