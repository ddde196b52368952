"""How time is cut: parts that never overlap, each fold later by what it trades."""

from __future__ import annotations

import pytest

from nicegold import DAY, SECOND
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.sweep.folds import Lengths, folds_of, parse_length


def lengths(**changed) -> Lengths:
    return Lengths(**{"in_sample": 10 * DAY, "out_of_sample": 5 * DAY, "gap": DAY, **changed})


def days(fold) -> tuple[float, ...]:
    return tuple(
        time / DAY for time in (fold.start, fold.chosen_at, fold.warm_from, fold.trades_from, fold.end)
    )


def test_folds_move_by_the_part_out_of_sample():
    folds = folds_of(0, 27 * DAY, lengths())

    assert [(0, 10, 0, 11, 16), (5, 15, 5, 16, 21), (10, 20, 10, 21, 26)] == list(map(days, folds))
    assert [1, 2, 3] == [fold.number for fold in folds]


def test_an_anchored_part_begins_with_the_data():
    assert [(0, 10, 0, 11, 16), (0, 15, 0, 16, 21)] == list(
        map(days, folds_of(0, 21 * DAY, lengths(anchored=True)))
    )


def test_what_is_traded_was_not_seen_when_it_was_chosen():
    for fold in folds_of(0, 100 * DAY, lengths()):
        assert (fold.chosen_at, None) == (fold.in_sample.end, fold.in_sample.trades_from)
        assert fold.chosen_at + DAY == fold.out_of_sample.trades_from


def test_a_warm_up_of_nothing_begins_cold():
    [fold] = folds_of(0, 16 * DAY, lengths(warm_up=0))

    assert (11 * DAY, 16 * DAY, None) == (
        fold.out_of_sample.start,
        fold.out_of_sample.end,
        fold.out_of_sample.trades_from,
    )


def test_a_warm_up_reaches_back_no_further_than_the_data():
    first, second = folds_of(0, 21 * DAY, lengths(warm_up=14 * DAY))

    assert (0, 2 * DAY) == (first.warm_from, second.warm_from)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"in_sample": 40 * DAY}, "a fold takes 46 days and the data have 27.0"),
        ({"out_of_sample": 0}, "must be longer than nothing"),
    ],
)
def test_what_does_not_fit_is_refused(changed, reason):
    with pytest.raises(ConfigurationError, match=reason):
        folds_of(0, 27 * DAY, lengths(**changed))


@pytest.mark.parametrize(
    ("text", "length"),
    [("2w", 14 * DAY), ("180d", 180 * DAY), ("12h", 12 * 3600 * SECOND), ("30m", 1800 * SECOND)],
)
def test_a_length_has_a_unit(text, length):
    assert length == parse_length(text)


@pytest.mark.parametrize("text", ["180", "d", "1.5d", "-1d", "1y"])
def test_another_length_is_refused(text):
    with pytest.raises(ValueError, match="is not a length of time"):
        parse_length(text)
