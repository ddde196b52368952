"""Which WAL segments are missing, by their names alone."""

from __future__ import annotations

import pytest

from nicegold_ops.backup.archive import Archive, shortened

MEGABYTE = 1 << 20
WHOLE = [f"0000000100000000000000{number:02X}" for number in range(1, 9)]


def without(*numbers: int, segment_bytes: int = 16 * MEGABYTE) -> Archive:
    return Archive([name for name in WHOLE if int(name[-2:], 16) not in numbers], segment_bytes)


@pytest.mark.parametrize(
    ("gone", "missing"), [((), []), ((5,), [5]), ((3, 6), [3, 6]), ((1,), []), ((8,), []), (range(1, 9), [])]
)
def test_a_gap_is_between_two_that_are_there(gone, missing):
    archive = without(*gone)

    assert [WHOLE[number - 1] for number in missing] == archive.lacking(WHOLE[1])


@pytest.mark.parametrize(("megabytes", "last"), [(16, "FF"), (64, "3F"), (1024, "03"), (1, "FFF")])
def test_numbers_go_on_after_each_4_gb(megabytes, last):
    names = [f"0000000100000000{last:0>8}", "000000010000000100000001"]
    archive = Archive(names, megabytes * MEGABYTE)

    assert ["000000010000000100000000"] == archive.lacking(names[0])


def test_a_timeline_goes_on_where_it_left_the_one_before():
    archive = Archive([*WHOLE[:3], "000000020000000000000004", "000000020000000000000006"], 16 * MEGABYTE)

    assert ["000000020000000000000005"] == archive.lacking(WHOLE[0])


def test_a_recovery_that_read_all_of_its_timeline_has_missed_nothing():
    assert [] == without().unread(1, 9 * 16 * MEGABYTE)
    assert [] == without().unread(1, 8 * 16 * MEGABYTE + 100)
    # What another timeline has is not what it was about.
    assert [] == without().unread(2, 3 * 16 * MEGABYTE)


def test_a_recovery_that_ended_before_a_gap_names_it():
    assert [WHOLE[4]] == without(5).unread(1, 5 * 16 * MEGABYTE)
    # The record at the end of a segment may go on in the next.
    assert [WHOLE[4]] == without(5).unread(1, 4 * 16 * MEGABYTE + 100)


def test_a_recovery_that_ended_before_what_is_there_names_that():
    assert [WHOLE[4]] == without().unread(1, 5 * 16 * MEGABYTE)


def test_of_many_segments_the_first_are_shown():
    assert "a, b, c" == shortened(["a", "b", "c"])
    assert "a, b, c and 2 more" == shortened(["a", "b", "c", "d", "e"])
