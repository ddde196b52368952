"""Each case has teeth: a broker with the defect that it is about fails it, and nothing else."""

from __future__ import annotations

from decimal import Decimal

import pytest

from nicegold import Accepted, Order, Rejected, hookimpl
from nicegold.conformance import NotConformant, cases, check_broker
from tests.conformance.defects import DEFECTS, AnswersWithVenueId
from tests.conformance.simple import Simple, SimpleRig

pytestmark = pytest.mark.slow


class Impatient(SimpleRig):
    """What does not happen is known to be missing after this long: the venue is in this process."""

    patience = 1.5


def failed(defect: type[Simple]) -> list[str]:
    rig = Impatient(lambda venue: defect(venue=venue))
    return [each.case for each in check_broker(rig) if each.result == "failed"]


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_fails_its_case_and_no_unrelated_one(defect):
    assert sorted(DEFECTS[defect]) == failed(defect)


def test_each_case_is_the_one_that_some_defect_is_about():
    assert {case.id for case in cases()} == {named[0] for named in DEFECTS.values()}


def test_a_failure_says_which_case_and_the_rule():
    case = next(each for each in cases() if each.id == "B06")

    with pytest.raises(NotConformant, match=r"^B06: .* case-1 is answered as V-1\. The rule: An order"):
        case(SimpleRig(lambda venue: AnswersWithVenueId(venue=venue)))


class Broken(SimpleRig):
    def move(self, bid: Decimal, ask: Decimal) -> None:
        raise OSError("the rig is out of order")


def test_a_rig_that_fails_has_not_passed():
    outcomes = {each.case: each for each in check_broker(Broken())}

    assert "B19 raised OSError: the rig is out of order" == outcomes["B19"].why
    assert "failed" == outcomes["B19"].result
    assert "passed" == outcomes["B06"].result


def test_a_broker_that_is_no_plugin_has_not_passed():
    outcomes = check_broker(SimpleRig(lambda venue: object()))

    assert {"failed"} == {each.result for each in outcomes}
    assert "it implements no hook" in outcomes[0].why


class MarketOnly(Simple):
    @hookimpl
    def place_order(self, order: Order) -> Accepted | Rejected:
        if order.price is None:
            return super().place_order(order)
        return Rejected(order_id=order.id, time=order.time, reason="no limits here")


def test_a_broker_that_takes_no_limits_has_no_defect():
    outcomes = check_broker(SimpleRig(lambda venue: MarketOnly(venue=venue)))

    assert [] == [each for each in outcomes if each.result == "failed"]
    skipped = {each.case: each.why for each in outcomes if each.result == "skipped"}
    assert {"a limit is refused: no limits here"} == set(skipped.values())
    assert {"B08", "B12", "B13", "B14", "B16", "B22", "B23", "B24", "B25", "B31", "B33"} == set(skipped)
