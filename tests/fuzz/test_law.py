"""What the law finds: each of these would be a feed that loses, doubles or invents something."""

from __future__ import annotations

import pytest

from nicegold import Bar, Defect, UnusableData
from tests.fuzz.law import OPEN_ALWAYS, SYMBOL, Outcome, check_lines, outcome_of

LINES = [b"", b"time,open", b"one", b" \r", b"two", b"three\r"]
BAR = Bar(SYMBOL, 1, 2, 1.0, 1.0, 1.0, 1.0)
TWO, THREE = Defect("unreadable", 5, "", "two"), Defect("unreadable", 6, "", "three")


class Feed:
    """Delivers *market*, and something else the second time if it *changes*."""

    def __init__(self, market, *, changes=False, said=("file: text",), error=None):
        self.market, self.changes, self.said, self.error = market, changes, list(said), error

    def startup(self, instruments):
        if self.error:
            raise self.error

    def describe_source(self):
        return self.said

    def stream(self, reject):
        yield from self.market
        if self.changes:
            self.market = []


def test_a_feed_that_accounts_for_each_line_keeps_it():
    check_lines(Outcome([BAR], [THREE, TWO]), LINES, 2)


@pytest.mark.parametrize(
    ("outcome", "skipped"),
    [
        (Outcome([BAR], [TWO]), 2),
        (Outcome([BAR, BAR], [TWO, THREE]), 2),
        (Outcome([BAR], [TWO, TWO]), 2),
        (Outcome([BAR], [TWO, Defect("unreadable", 4, "", "")]), 2),
        (Outcome([BAR], [TWO, Defect("unreadable", 7, "", "")]), 2),
        (Outcome([BAR], [TWO, Defect("unreadable", 6, "", "thre")]), 2),
        (Outcome([], [TWO, THREE]), 3),
    ],
    ids=["lost", "doubled", "twice", "blank", "behind the end", "another text", "two headers"],
)
def test_what_breaks_it_is_found(outcome, skipped):
    with pytest.raises(AssertionError):
        check_lines(outcome, LINES, skipped)


@pytest.mark.parametrize(
    "feed",
    [
        Feed([BAR, BAR]),
        Feed([Bar(SYMBOL, 1, 2, 1.0, 1.0, 2.0, 1.0)]),
        Feed([BAR], changes=True),
        Feed([BAR], said=[""]),
    ],
    ids=["two of one time", "not sound", "others the second time", "not said"],
)
def test_what_may_not_be_delivered_is_found(feed):
    with pytest.raises(AssertionError):
        outcome_of(feed, feed.stream, OPEN_ALWAYS)


def test_only_data_that_cannot_be_used_may_be_refused():
    refused = Feed([], error=UnusableData("it is empty"))
    broken = Feed([], error=ValueError("traceback"))

    assert "it is empty" == outcome_of(refused, refused.stream, OPEN_ALWAYS).refused
    with pytest.raises(ValueError, match="traceback"):
        outcome_of(broken, broken.stream, OPEN_ALWAYS)
