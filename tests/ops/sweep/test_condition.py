"""`--where`: comparisons of parameters, and nothing else that Python could do."""

from __future__ import annotations

from decimal import Decimal

import pytest

from nicegold_ops.errors import ConfigurationError
from nicegold_ops.sweep.condition import Condition

VALUES: dict[str, Decimal | str] = {
    "cross.fast": Decimal(10),
    "cross.slow": Decimal("30"),
    "gold-cross.q": Decimal("0.3"),
    "a.mode": "x",
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("cross.fast < cross.slow", True),
        ("cross.slow >= 3 * cross.fast", True),
        ("2 * cross.fast == cross.slow - cross.fast", True),
        ("5 < cross.fast < 10", False),
        ("not cross.fast > 20 and (cross.slow != 30 or cross.slow / 3 <= 10)", True),
        ("gold-cross.q == 0.1 + 0.2", True),
        ("-cross.fast < 0", True),
        ('a.mode == "x"', True),
        ("a.mode == 'cross.fast'", False),
    ],
)
def test_a_condition_holds_or_not(text, holds):
    assert holds == Condition(text, list(VALUES)).holds(VALUES)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("crss.fast < 3", 'no --over crss.fast; did you mean "cross.fast"?'),
        ("fast < 3", "no --over fast"),
        ("_9 < 3", "no --over _9"),
        ("cross.fast <", "write a comparison"),
        ("cross.fast < 3; 1", "write a comparison"),
        ("open('x')", "is neither a parameter, a number nor a comparison"),
        ("cross.fast ** 2 < 3", "is neither a parameter, a number nor a comparison"),
        ("[cross.fast] == 3", "is neither a parameter, a number nor a comparison"),
        ("cross.fast.__class__ == 3", "no --over"),
    ],
)
def test_anything_else_is_refused(text, reason):
    with pytest.raises(ConfigurationError) as refused:
        Condition(text, list(VALUES))

    assert reason in str(refused.value)


@pytest.mark.parametrize("text", ["a.mode < 3", "cross.fast / 0 > 1"])
def test_what_cannot_be_asked_names_the_combination(text):
    with pytest.raises(ConfigurationError, match=r"this cannot be asked of cross\.fast=10"):
        Condition(text, list(VALUES)).holds(VALUES)
