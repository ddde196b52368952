from __future__ import annotations

import gzip
import re
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import SECOND, Defect, Instrument, Quote, UnusableData
from nicegold.testing import check_conformance
from nicegold_plugins.feeds.ticks import Ticks

INSTRUMENTS = {"XAUUSD": Instrument(symbol="XAUUSD", tick_size=Decimal("0.01"))}
HEADED = "timestamp,bid,ask\n"


def feed(path: Path, **settings: Any) -> Ticks:
    given: dict[str, Any] = {"instrument": "XAUUSD", "timezone": "UTC", "path": path}
    return Ticks(**(given | settings))


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "ticks.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(ticks: Ticks) -> tuple[list[Quote], list[Defect]]:
    defects: list[Defect] = []
    ticks.startup(INSTRUMENTS)
    return [each for each in ticks.stream_market(defects.append) if isinstance(each, Quote)], defects


def ns(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(moment.timestamp()) * SECOND + moment.microsecond * 1000


def quote(time: str, *values: float) -> Quote:
    return Quote("XAUUSD", ns(time), *values)


FORMS: dict[str, tuple[str | bytes, dict[str, Any], Quote]] = {
    "TrueFX from pandas": (
        HEADED + "2020-05-01 00:00:00.295000+00:00,1687.5,1687.75\n2020-05-01 00:00:01+00:00,1687.5,1688\n",
        {},
        quote("2020-05-01 00:00:00.295", 1687.5, 1687.75),
    ),
    "TrueFX": (
        "XAU/USD,20200501 00:00:00.981,1687.5,1687.75\nXAU/USD,20200501 00:00:01.002,1687.5,1687.75\n",
        {},
        quote("2020-05-01 00:00:00.981", 1687.5, 1687.75),
    ),
    "HistData": (
        "20200430 190000065,1687.500000,1687.750000,0\n20200430 190010447,1687.5,1687.750000,0\n",
        {"timezone": "UTC-5"},
        quote("2020-05-01 00:00:00.065", 1687.5, 1687.75),
    ),
    "HistData, packed": (
        gzip.compress(b"20200430 190000065,1687.500000,1687.750000,0\n20200430 190010447,1687.5,1687.75,0\n"),
        {"timezone": "UTC-5"},
        quote("2020-05-01 00:00:00.065", 1687.5, 1687.75),
    ),
    "MetaTrader 5": (
        "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\r\n"
        "2020.05.01\t03:00:00.128\t1687.50\t1687.75\t\t\t6\r\n"
        "2020.05.01\t03:00:00.254\t\t1687.80\t\t\t4\r\n",
        {"timezone": "UTC+3"},
        quote("2020-05-01 00:00:00.128", 1687.5, 1687.75),
    ),
    "MetaTrader 5 in UTF-16": (
        "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\r\n"
        "2020.05.01\t00:00:00.128\t1687.50\t1687.75\t\t\t6\r\n"
        "2020.05.01\t00:00:00.254\t1687.55\t\t\t\t2\r\n".encode("utf-16"),
        {},
        quote("2020-05-01 00:00:00.128", 1687.5, 1687.75),
    ),
    "Dukascopy text": (
        "Gmt time,Ask,Bid,AskVolume,BidVolume\n01.05.2020 00:00:00.065,1687.75,1687.5,0.0012,0.0003\n"
        "01.05.2020 00:00:00.165,1687.75,1687.5,0.0012,0.0003\n",
        {},
        quote("2020-05-01 00:00:00.065", 1687.5, 1687.75, 0.0003, 0.0012),
    ),
    "nanoseconds since 1970": (
        "ts_event,bid_price,ask_price\n1588291200000000000,1687.5,1687.75\n1588291201000000000,1687.5,1688\n",
        {},
        quote("2020-05-01 00:00", 1687.5, 1687.75),
    ),
    "newest first": (
        "time,bid,ask\n2020-05-01 00:02,1,2\n2020-05-01 00:01,1687.5,1687.75\n",
        {"order": "newest"},
        quote("2020-05-01 00:01", 1687.5, 1687.75),
    ),
    "sizes": (
        "time;ask;bid;ask volume;bid volume\n2020-05-01 00:00;1687.75;1687.5;3;1.5\n"
        "2020-05-01 00:01;1687.75;1687.5;3;1.5\n",
        {},
        quote("2020-05-01 00:00", 1687.5, 1687.75, 1.5, 3.0),
    ),
    "one size is no size": (
        "time;bid;ask;bid volume\n2020-05-01 00:00;1687.5;1687.75;3\n2020-05-01 00:01;1687.5;1687.75;3\n",
        {},
        quote("2020-05-01 00:00", 1687.5, 1687.75),
    ),
    "points": (
        "time,bid,ask\n2020-05-01 00:00,168750,168775\n2020-05-01 00:01,168750,168775\n",
        {"scale": Decimal(100)},
        quote("2020-05-01 00:00", 1687.5, 1687.75),
    ),
    "decimal comma": (
        "time;bid;ask\n2020-05-01 00:00;1687,5;1687,75\n2020-05-01 00:01;1687,5;1687,75\n",
        {"decimal": ","},
        quote("2020-05-01 00:00", 1687.5, 1687.75),
    ),
    "declared": (
        "1687.75|1687.5|1/5/2020 00:00:00\n1687.75|1687.5|1/5/2020 00:00:01\n",
        {"header": "ask,bid,time", "separator": "|", "time_format": "%d/%m/%Y %H:%M:%S"},
        quote("2020-05-01 00:00", 1687.5, 1687.75),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_it_reads_the_form_of(form, tmp_path):
    content, settings, first = FORMS[form]

    quotes, defects = read(feed(written(tmp_path, content), **settings))

    assert [] == defects
    assert 2 == len(quotes)
    assert first == quotes[0]


MT5 = "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\n"


def mt5(*sides: str) -> str:
    """An export with a line a second; each of *sides* is a bid and an ask."""
    rows = (f"2020.05.01\t00:00:{second:02}.0\t{side}\t\t\t6\n" for second, side in enumerate(sides))
    return MT5 + "".join(rows)


def test_a_blank_side_is_unchanged_where_there_are_flags(tmp_path):
    content = mt5("1\t2", "\t3", "1.5\t", "\t", "x\t9", "\t4")

    quotes, defects = read(feed(written(tmp_path, content)))

    # Of a line that cannot be read nothing is kept.
    assert [(1.0, 2.0), (1.0, 3.0), (1.5, 3.0), (1.5, 3.0), (1.5, 4.0)] == [
        (each.bid, each.ask) for each in quotes
    ]
    assert [(6, 'bid is "x", not a number')] == [(each.line, each.reason) for each in defects]


def test_a_side_that_no_line_has_said_is_not_guessed(tmp_path):
    quotes, defects = read(feed(written(tmp_path, mt5("1\t", "\t2"))))

    assert [(1.0, 2.0)] == [(each.bid, each.ask) for each in quotes]
    assert [(2, "ask is blank, and no line before says what it is")] == [
        (each.line, each.reason) for each in defects
    ]


@pytest.mark.parametrize(("blank", "bids"), [("", [1.0, 1.0]), ("unchanged", [1.0, 1.0]), ("defect", [1.0])])
def test_what_a_blank_is_may_be_declared(blank, bids, tmp_path):
    quotes, _ = read(feed(written(tmp_path, mt5("1\t2", "\t3")), blank=blank))

    assert bids == [each.bid for each in quotes]


def test_what_was_recognised_is_said(tmp_path):
    ticks = feed(written(tmp_path, mt5("1\t2")))
    ticks.startup(INSTRUMENTS)

    assert [
        "file: text in UTF-8",
        "lines: tabs between fields, a header, oldest first",
        "columns: time is <DATE> and <TIME>, bid is <BID>, ask is <ASK>, not read: <LAST>, <VOLUME>, <FLAGS>",
        "times: like %Y.%m.%d %H:%M:%S, such as 2020.05.01 00:00:00.0",
        "blanks: a blank price is unchanged, as MetaTrader 5 has it",
    ] == ticks.describe_source()


@pytest.mark.parametrize(
    ("line", "kind", "reason"),
    [
        ("2020-05-01 00:00:01,1687.6,1687.5", "crossed", "bid 1687.6 is above ask 1687.5"),
        ("2020-05-01 00:00:01,nan,1687.5", "not_finite", "bid is nan"),
        ("2020-05-01 00:00:01,1687.5,inf", "not_finite", "ask is inf"),
        ("2020-05-01 00:00:01,0,1687.5", "not_positive", "bid is 0.0"),
        ("2020-04-30 00:00:01,1,1", "backward", "its time is before that of line 2"),
        ("2020-05-01 00:00:01,,1687.5", "unreadable", 'bid is "", not a number'),
        ("2020-05-01 00:00:01,1687.5", "unreadable", "it has 2 fields, not 3"),
    ],
)
def test_a_line_that_cannot_be_right_is_rejected_and_the_rest_is_read(line, kind, reason, tmp_path):
    path = written(tmp_path, f"{HEADED}2020-05-01 00:00:00,1,1\n{line}\n2020-05-01 00:00:02,1,1\n")

    quotes, defects = read(feed(path))

    assert [quote("2020-05-01 00:00", 1.0, 1.0), quote("2020-05-01 00:00:02", 1.0, 1.0)] == quotes
    assert [Defect(kind, 3, reason, line)] == defects


def test_quotes_of_one_moment_are_all_read(tmp_path):
    path = written(tmp_path, HEADED + "2020-05-01 00:00:00,1,2\n" * 3)

    quotes, defects = read(feed(path))

    assert 3 * [quote("2020-05-01 00:00", 1.0, 2.0)] == quotes
    assert [] == defects


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("time,bid\n2020-05-01,1\n", 'ticks.csv has no column for "ask"; it has: time, bid'),
        (
            "2020-05-01 00:00,1,1,1,1\n",
            'ticks.csv has no header and 5 columns; name them with header = "time,',
        ),
        (HEADED + "2020-05-01 00:00,b,a\n", 'nothing to read in its first lines; line 2: bid is "b"'),
    ],
)
def test_a_file_that_is_not_understood_is_refused_with_the_way_out(content, reason, tmp_path):
    with pytest.raises(UnusableData, match=re.escape(reason)):
        feed(written(tmp_path, content)).startup(INSTRUMENTS)


def test_settings_that_cannot_be_meant_are_refused(tmp_path):
    with pytest.raises(ValueError, match="scale must be above 0: it is -1"):
        feed(tmp_path, scale=Decimal(-1))


def test_conformance(tmp_path):
    path = written(tmp_path, HEADED + "2020-05-01 00:00:00,1,2\n" * 3)

    check_conformance(lambda: feed(path))


def test_its_source_is_the_file(tmp_path):
    assert str(tmp_path / "ticks.csv") == feed(written(tmp_path, HEADED)).source().location


LINES = st.text(max_size=20) | st.tuples(
    st.sampled_from(["2020-05-01 00:00:00", "2020-05-01 00:00:01", "2020-05-01", ""]),
    st.floats().map(str) | st.sampled_from(["1", "1.5", "x"]),
    st.floats().map(str) | st.sampled_from(["1", "1.5", "x"]),
).map(",".join)


@given(lines=st.lists(LINES, max_size=30))
def test_no_line_is_lost(lines, tmp_path_factory):
    content = f"{HEADED}2020-05-01 00:00:00,1,1\n" + "\n".join(lines)
    ticks = feed(written(tmp_path_factory.getbasetemp(), content))

    try:
        quotes, defects = read(ticks)
    except UnusableData:
        return

    rows = content.encode().split(b"\n")[1:]
    blank = sum(not row.strip() for row in rows)
    assert len(rows) == len(quotes) + len(defects) + blank
    assert all(before.time <= after.time for before, after in pairwise(quotes))
