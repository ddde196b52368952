"""Reasons that differ in numbers only are one, and there are never too many."""

from __future__ import annotations

from decimal import Decimal

from nicegold import Objection, Order, Side, Vetoed
from nicegold_ops.report.vetoes import Reason, Veto, Vetoes

ORDER = Order(symbol="XAUUSD", side=Side.BUY, quantity=Decimal(1))


def counted(*reasons: str, plugin: str = "limit") -> list[Veto]:
    vetoes = Vetoes()
    for reason in reasons:
        vetoes.add(Vetoed(order=ORDER, objections=[Objection(plugin, reason)], time=0))
    return vetoes.found


def test_reasons_that_differ_in_numbers_are_one_as_it_was_said_first():
    expected = [Veto("limit", 3, [Reason("would hold 1.50 lots, limit is 1", 3)])]

    assert expected == counted(
        *(f"would hold {lots} lots, limit is 1" for lots in ("1.50", "-1.50", "2,000.5"))
    )


def test_the_most_frequent_reason_is_first():
    (veto,) = counted("too fast", "too big", "too big")

    assert [Reason("too big", 2), Reason("too fast", 1)] == veto.reasons


def test_each_who_objects_is_counted():
    vetoes = Vetoes()

    vetoes.add(Vetoed(order=ORDER, objections=[Objection("a", "no"), Objection("b", "never")], time=0))

    assert [Veto("a", 1, [Reason("no", 1)]), Veto("b", 1, [Reason("never", 1)])] == vetoes.found


def test_two_checks_that_say_the_same_keep_their_own_words():
    vetoes = Vetoes()

    for plugin, reason in (("a", "above 1"), ("b", "above 2")):
        vetoes.add(Vetoed(order=ORDER, objections=[Objection(plugin, reason)], time=0))

    assert ["above 1", "above 2"] == [veto.reasons[0].text for veto in vetoes.found]


def test_a_check_that_never_says_the_same_thing_is_counted_whole():
    words = ["".join(chr(97 + int(digit)) for digit in str(number)) for number in range(1500)]

    (veto,) = counted(*words)

    assert 1500 == veto.count == veto.others + sum(each.count for each in veto.reasons)
    assert 20 == len(veto.reasons)
