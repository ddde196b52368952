from __future__ import annotations

from nicegold import Break, Mended, Portfolio, Reconciled
from nicegold.testing import ACCOUNT, GOLD
from nicegold_ops.telemetry.counts import LabelGuard
from nicegold_ops.telemetry.venues import KINDS, Venues

POSITION = Break(broker="desk", kind="position", about="XAUUSD", ours="0", theirs="1", time=1)


def venues() -> Venues:
    made = Venues(LabelGuard(), lambda: 7 * 10**9)
    made.portfolio = Portfolio(ACCOUNT, {GOLD.symbol: GOLD})
    return made


def test_a_venue_that_nobody_asks_is_not_told_of():
    asked = venues()

    assert ([], [], [], []) == (asked.runs.samples(), asked.last(), asked.agreed(), asked.breaks())


def test_one_that_will_be_asked_has_answered_nothing_and_does_not_agree_yet():
    asked = venues()

    asked.expect(["desk"])

    assert [(("desk", "answered"), 0.0), (("desk", "failed"), 0.0)] == asked.runs.samples()
    assert [(("desk",), 0.0)] == asked.last() == asked.agreed()
    assert [(("desk", kind), 0.0) for kind in KINDS] == asked.breaks()


def test_what_became_of_each_question_is_counted_and_the_last_answer_timed():
    asked = venues()
    asked.expect(["desk"])

    asked.asked("desk", True)
    asked.asked("desk", False)

    assert [(("desk", "answered"), 1.0), (("desk", "failed"), 1.0)] == asked.runs.samples()
    assert [(("desk",), 7.0)] == asked.last()


def test_breaks_are_told_by_kind_and_end_the_agreement_until_they_are_mended():
    asked = venues()
    asked.expect(["desk"])
    assert asked.portfolio is not None
    for event in (Reconciled(broker="desk", time=1), POSITION):
        asked.portfolio.apply(event)

    assert (1.0, 0.0) == (dict(asked.breaks())["desk", "position"], dict(asked.agreed())[("desk",)])
    asked.portfolio.apply(Mended(broker="desk", kind="position", about="XAUUSD", time=2))
    assert (0.0, 1.0) == (dict(asked.breaks())["desk", "position"], dict(asked.agreed())[("desk",)])
