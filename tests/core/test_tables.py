from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import (
    Clock,
    Source,
    TextSettings,
    TextTable,
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
from nicegold.fields import ReadRow

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


# How a line is read.


def table_of(path: Path, content: str, **settings: Any) -> TextTable:
    path.write_text(content)
    return read_table(path, TextSettings(**settings), BARS, [BARS, (*BARS, "volume")])


@pytest.mark.parametrize(
    ("content", "settings", "said"),
    [
        (
            "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<VOL>\n2025.01.02\t01:00:00\t2\t3\t1\t2\t0\n",
            {},
            [
                "file: text in UTF-8",
                "lines: tabs between fields, a header, oldest first",
                "columns: time is <DATE> and <TIME>, open is <OPEN>, high is <HIGH>, low is <LOW>, "
                "close is <CLOSE>, volume is <VOL>",
                "times: like %Y.%m.%d %H:%M:%S, such as 2025.01.02 01:00:00",
            ],
        ),
        (
            "20200101 000200;2;3;1;2;0\n20200101 000100;2;3;1;2;0\n20200101 000000;2;3;1;2;0\n",
            {},
            [
                "file: text in UTF-8",
                "lines: semicolons between fields, no header, newest first",
                "columns: time is 1, open is 2, high is 3, low is 4, close is 5, volume is 6",
                "times: like %Y%m%d %H%M%S, such as 20200101 000200",
            ],
        ),
        (
            ',"open",high,low,close,change\n1577836800,2,3,1,2,1%\n',
            {"order": "newest"},
            [
                "file: text in UTF-8",
                "lines: commas between fields, quotes, a header, newest first",
                "columns: time is the one without a name, open is open, high is high, low is low, "
                "close is close, not read: change",
                "times: like 10 digits since 1970, such as 1577836800",
            ],
        ),
        (
            "time,open,high,low,close\n2020-01-01,2,3,1,2,9\n",
            {},
            [
                "file: text in UTF-8",
                "lines: commas between fields, a header, oldest first",
                "columns: time is time, open is open, high is high, low is low, close is close, not read: 6",
                "times: like %Y-%m-%d, such as 2020-01-01",
            ],
        ),
        (
            "1/5/2020|2,0|3,0|1,0|2,0\n",
            {
                "decimal": ",",
                "scale": Decimal(100),
                "separator": "|",
                "header": "when,open,high,low,close",
                "time_format": "%d/%m/%Y",
                "time": "when",
            },
            [
                "file: text in UTF-8",
                'lines: "|" between fields, declared names, oldest first',
                "columns: time is when, open is open, high is high, low is low, close is close",
                "times: like %d/%m/%Y, such as 1/5/2020",
                'numbers: prices are divided by 100, the decimal point is ","',
            ],
        ),
    ],
)
def test_what_was_recognised_is_said(content, settings, said, tmp_path):
    columns = {"time": settings.pop("time")} if "time" in settings else {}

    table = table_of(tmp_path / "bars.csv", content, columns=columns, **settings)

    assert said == table.describe((*BARS, "volume"))


NUMBERS = st.sampled_from(
    ["1", "2.5", "1e3", "-0.0", "01", "+1", "1_0", "nan", "", "x", "1,5", "[1]", "null", '"1"']
)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@given(
    texts=st.lists(NUMBERS, min_size=3, max_size=6),
    symbol=st.booleans(),
    end=st.sampled_from(["", "\n", "\r\n"]),
)
def test_a_line_is_read_at_once_as_it_is_field_by_field(separator, texts, symbol, end, tmp_path_factory):
    def lines(*fields):
        return separator.join([*(["XAU"] if symbol else []), "2020-05-01 00:00", *fields])

    path = tmp_path_factory.getbasetemp() / "both.csv"
    table = table_of(path, f"{lines('1', '2', '1', '2', '9')}\n" * 3)
    line = (lines(*texts) + end).encode()

    def outcome(read: ReadRow) -> object:
        try:
            time, numbers = read(line)
        except ValueError as error:
            return str(error)
        return time, list(map(repr, numbers))

    names = (*BARS, "volume", "spread")
    at_once = table.reader(names, Clock())
    # Where a column is no number in the sample, the fields are read one by one.
    mixed = msgspec.structs.replace(table, sample=(*table.sample, lines("1", "2", "1", "2", "x").encode()))

    assert outcome(mixed.reader(names, Clock())) == outcome(at_once)
    assert at_once.__qualname__ != mixed.reader(names, Clock()).__qualname__


def test_of_what_there_is_no_column_there_is_none(tmp_path):
    table = table_of(tmp_path / "bars.csv", "time,open,high,low,close\n2020-05-01,2,3,1,2\n")

    _, numbers = table.reader(("volume", *BARS, "spread"), Clock())(b"2020-05-01,2,3,1,2.5\n")

    assert [0.0, 2.0, 3.0, 1.0, 2.5, 0.0] == list(numbers)
