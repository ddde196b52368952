from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import (
    Source,
    TextSettings,
    UnusableData,
    find_columns,
    find_file,
    multiplier,
    read_table,
    refuse_missing,
    refuse_unknown,
    show_line,
    source_of,
)

BARS = ("open", "high", "low", "close")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["<OPEN>", "Close", " high ", "LOW"], {"open": 0, "close": 1, "high": 2, "low": 3}),
        (["TICKVOL", "VOL"], {"volume": 0}),
        (["real_volume", "Tick Volume"], {"volume": 1}),
        (["tick_volume", "tick_volume"], {"volume": 0}),
        (["", "close", ""], {"time": 0, "close": 1}),
        (["close", ""], {"close": 0}),
        (["Date", "Timestamp"], {"date": 0, "time": 1}),
        (["Gmt time"], {"time": 0}),
        (["Bid", "Ask", "BidVolume", "AskVolume"], {"bid": 0, "ask": 1, "bid_size": 2, "ask_size": 3}),
        (["whatever", "%"], {}),
    ],
)
def test_columns_are_found_by_what_people_call_them(names, found):
    assert found == find_columns(names, {})


def test_a_name_that_is_chosen_goes_before_the_usual_ones():
    assert {"close": 1} == find_columns(["Close", "Adj Close"], {"close": "adj close"})


def test_a_chosen_name_without_letters_has_to_be_the_same():
    assert {"close": 1} == find_columns(["#", "%"], {"close": "%"})


def test_a_chosen_name_that_is_not_there_is_refused_with_what_is():
    with pytest.raises(UnusableData, match='has no column "Last" for close; it has: Close, ""'):
        find_columns(["Close", ""], {"close": "Last"})


def test_a_missing_column_is_refused_with_the_way_out():
    with pytest.raises(UnusableData, match=re.escape('it has: A, B; name it with columns = {low = "..."}')):
        refuse_missing({"open": 0, "high": 1}, BARS, ["A", "B"])


def test_a_column_that_is_for_nothing_is_refused():
    with pytest.raises(ValueError, match='columns has "clos"; it may name open, high, low, close'):
        refuse_unknown({"clos": "Last"}, BARS)


@pytest.mark.parametrize(
    ("line", "separator"),
    [
        ("2020-05-01 00:00\t1,5\t1,5\t1,5\t1,5", b"\t"),
        ("2020-05-01 00:00;1,5;1,5;1,5;1,5", b";"),
        ("2020-05-01 00:00,1,1,1,1", b","),
    ],
)
def test_the_separator_is_what_cuts_most_lines_into_fields(line, separator, tmp_path):
    (tmp_path / "bars.csv").write_text(f"{line}\n1;2;3,4,5\n{line}\n")

    table = read_table(tmp_path / "bars.csv", TextSettings(), BARS, [BARS])

    assert separator == table.separator
    assert 5 == table.width


def test_the_names_say_how_many_fields_a_line_has(tmp_path):
    (tmp_path / "bars.csv").write_text("time,open,high,low,close\n1,1\n2020-05-01,1,1,1,1\n1,1\n")

    assert 5 == read_table(tmp_path / "bars.csv", TextSettings(), BARS, [BARS]).width


def test_a_file_is_where_it_was_looked_for(tmp_path):
    (tmp_path / "bars.csv").write_bytes(b"abc")

    assert tmp_path / "bars.csv" == find_file(tmp_path / "bars.csv")
    # NIST's example of SHA-256.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert Source(str(tmp_path / "bars.csv"), digest) == source_of(tmp_path / "bars.csv")


def test_a_file_in_the_working_directory_has_a_whole_location(tmp_path, monkeypatch):
    (tmp_path / "bars.csv").write_bytes(b"abc")
    monkeypatch.chdir(tmp_path)

    assert str(tmp_path / "bars.csv") == source_of(Path("bars.csv")).location


def test_points_are_multiplied_as_people_do():
    price_of = multiplier(Decimal("0.01"))

    assert [0.35, 0.43, 0.0] == [price_of(points) for points in (35.0, 43.0, 0.0)]
    assert 0.35 != 35.0 * 0.01


@given(points=st.integers(0, 10**6), digits=st.integers(0, 6))
def test_points_are_the_price_that_is_written(points, digits):
    price_of = multiplier(Decimal(1).scaleb(-digits))

    assert float(f"{points}e-{digits}") == price_of(float(points))


def test_a_line_is_shown_without_its_end_and_not_beyond_500_characters():
    assert "a,b" == show_line(b" a,b\r\n")
    assert "" == show_line(b" \r\n")
    assert "\u20ac" * 500 + "..." == show_line("\u20ac".encode() * 501)
