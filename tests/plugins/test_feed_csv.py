from __future__ import annotations

import gzip
import hashlib
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import SECOND, Bar, Defect, Instrument, UnusableData, files
from nicegold.testing import check_conformance
from nicegold_plugins.feeds.csv import Csv

GOLD = Instrument(symbol="XAUUSD", tick_size=Decimal("0.01"))
INSTRUMENTS = {"XAUUSD": GOLD}
MINUTES = {"M1": 1, "D1": 1440}


def feed(path: Path, **settings: Any) -> Csv:
    given: dict[str, Any] = {"instrument": "XAUUSD", "timezone": "UTC", "timeframe": "M1", "path": path}
    return Csv(**(given | settings))


def written(folder: Path, content: str | bytes, name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(csv: Csv) -> tuple[list[Bar], list[Defect]]:
    defects: list[Defect] = []
    csv.startup(INSTRUMENTS)
    bars = [bar for bar in csv.stream_market(INSTRUMENTS, defects.append) if isinstance(bar, Bar)]
    return bars, defects


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def bar(start: str, *values: float, timeframe: str = "M1") -> Bar:
    began = ns(start)
    return Bar("XAUUSD", began, began + MINUTES[timeframe] * 60 * SECOND, *values)


HEADED = "time,open,high,low,close\n"
LINE = "2020-05-01 00:{:02}:00,1687.5,1688.0,1687.0,1687.25\n"
OHLC = (1687.5, 1688.0, 1687.0, 1687.25)
A_MINUTE = LINE.format(0)

#: Two lines in the form of each program, the settings they need, and the first bar in them.
FORMS: dict[str, tuple[str, dict[str, Any], Bar]] = {
    "MT4 History Center": (
        "2020.05.01,00:00,1687.50,1688.00,1687.00,1687.25,12\n"
        "2020.05.01,00:01,1687.50,1688.00,1687.00,1687.25,7\n",
        {},
        bar("2020-05-01 00:00", *OHLC, 12.0),
    ),
    "MT4 days": (
        "2020.05.01,1687.50,1688.00,1687.00,1687.25,12\n2020.05.04,1687.50,1688.00,1687.00,1687.25,7\n",
        {"timeframe": "D1"},
        bar("2020-05-01", *OHLC, 12.0, timeframe="D1"),
    ),
    "HistData": (
        "20200501 000000;1687.500000;1688.000000;1687.000000;1687.250000;0\n"
        "20200501 000100;1687.500000;1688.000000;1687.000000;1687.250000;0\n",
        {"timezone": "America/New_York"},
        bar("2020-05-01 04:00", *OHLC, 0.0),
    ),
    "MT5 native": (
        "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\r\n"
        "2020.05.01\t03:00:00\t1687.50\t1688.00\t1687.00\t1687.25\t124\t0\t35\r\n"
        "2020.05.01\t03:01:00\t1687.50\t1688.00\t1687.00\t1687.25\t173\t0\t44\r\n",
        {"timezone": "America/New_York+7"},
        bar("2020-05-01 00:00", *OHLC, 124.0, 0.35),
    ),
    "MT5 from Python": (
        "time,open,high,low,close,tick_volume,spread,real_volume\n"
        "2020-05-01 00:00:00,1687.5,1688.0,1687.0,1687.25,124,35,0\n"
        "2020-05-01 00:01:00,1687.5,1688.0,1687.0,1687.25,124,35,0\n",
        {},
        bar("2020-05-01 00:00", *OHLC, 124.0, 0.35),
    ),
    "spread in price": (
        "time,open,high,low,close,spread\n"
        "2020-05-01 00:00:00,1687.5,1688.0,1687.0,1687.25,0.25\n"
        "2020-05-01 00:01:00,1687.5,1688.0,1687.0,1687.25,0.25\n",
        {"spread_in": "price"},
        bar("2020-05-01 00:00", *OHLC, 0.0, 0.25),
    ),
    "symbol first": (
        "symbol,time,open,high,low,close,tick_volume,spread,real_volume\n"
        "XAUUSD_i,2020-05-01 00:00:00,1687.5,1688.0,1687.0,1687.25,124,35,0\n"
        "XAUUSD_i,2020-05-01 00:01:00,1687.5,1688.0,1687.0,1687.25,124,35,0\n",
        {},
        bar("2020-05-01 00:00", *OHLC, 124.0, 0.35),
    ),
    "symbol first, no header": (
        "XAUUSD,2020-05-01 00:00,1687.5,1688.0,1687.0,1687.25\n"
        "XAUUSD,2020-05-01 00:01,1687.5,1688.0,1687.0,1687.25\n",
        {},
        bar("2020-05-01 00:00", *OHLC),
    ),
    "one name twice": (
        "time,open,high,low,close,tick_volume,tick_volume,spread\n"
        "2020-05-01 00:00:00+00:00,1687.5,1688.0,1687.0,1687.25,808,0,10\n"
        "2020-05-01 00:01:00+00:00,1687.5,1688.0,1687.0,1687.25,745,0,6\n",
        {"timezone": "UTC+2"},
        bar("2020-04-30 22:00", *OHLC, 808.0, 0.1),
    ),
    "NICEGOLD": (
        "Date,Timestamp,Open,High,Low,Close,Volume\n"
        "25630501,12:00:00 AM,1687.5,1688,1687,1687.25,0.0253399996436201\n"
        "25630501,12:01:00 AM,1687.5,1688,1687,1687.25,0.668689991114661\n",
        {},
        bar("2020-05-01 00:00", *OHLC, 0.0253399996436201),
    ),
    "points": (
        "Date,open,high,low,close,tick_volume\r\n"
        "2020-05-01 00:00:00,168750.0,168800.0,168700.00000000003,168725.0,55\r\n"
        "2020-05-01 00:01:00,168750.0,168800.0,168700.0,168725.0,55\r\n",
        {"scale": Decimal(100)},
        bar("2020-05-01 00:00", 1687.5, 1688.0, 1687.0000000000002, 1687.25, 55.0),
    ),
    "time without a name": (
        ",Open,High,Low,Close,Volume\n"
        "2020-05-01 00:00:00,1687.5,1688,1687,1687.25,3\n"
        "2020-05-01 00:01:00,1687.5,1688,1687,1687.25,3\n",
        {},
        bar("2020-05-01 00:00", *OHLC, 3.0),
    ),
    "Dukascopy": (
        "Gmt time,Open,High,Low,Close,Volume\n"
        "01.05.2020 00:00:00.000,1687.5,1688,1687,1687.25,3.5\n"
        "01.05.2020 00:01:00.000,1687.5,1688,1687,1687.25,3.5\n",
        {},
        bar("2020-05-01 00:00", *OHLC, 3.5),
    ),
    "ISO": (
        "datetime;o;h;l;c\n2020-05-01T00:00:00Z;1687.5;1688;1687;1687.25\n"
        "2020-05-01T00:01:00Z;1687.5;1688;1687;1687.25\n",
        {},
        bar("2020-05-01 00:00", *OHLC),
    ),
    "byte order mark, quotes and thousands": (
        '\ufeff"Date","Price","Open","High","Low","Change"\r\n'
        '"May 01, 2020","1,687.25","1,687.50","1,688.00","1,687.00","-1.22%"\r\n'
        '"May 04, 2020","1,687.25","1,687.50","1,688.00","1,687.00","1.29%"\r\n',
        {"timeframe": "D1"},
        bar("2020-05-01", *OHLC, timeframe="D1"),
    ),
    "decimal comma": (
        "Date;Open;High;Low;Close\n01-May-20;1.687,50;1.688,0;1687,0;1687,25\n"
        "04-May-20;1.687,50;1.688,0;1687,0;1687,25\n",
        {"timeframe": "D1", "decimal": ","},
        bar("2020-05-01", *OHLC, timeframe="D1"),
    ),
    "whole thousands": (
        "Date;Open;High;Low;Close;Volume\n2020-05-01;1687.50;1688.0;1687.0;1687.25;12,345\n"
        "2020-05-04;1687.50;1688.0;1687.0;1687.25;12,345\n",
        {"timeframe": "D1", "decimal": "."},
        bar("2020-05-01", *OHLC, 12_345.0, timeframe="D1"),
    ),
    "day before month": (
        "Date,Open,High,Low,Close\n1/5/2020,1687.5,1688,1687,1687.25\n4/5/2020,1687.5,1688,1687,1687.25\n",
        {"timeframe": "D1", "time_format": "%d/%m/%Y"},
        bar("2020-05-01", *OHLC, timeframe="D1"),
    ),
    "header declared": (
        "1687.25|1687.5|1688|1687|9|2020-05-01 00:00\n1687.25|1687.5|1688|1687|9|2020-05-01 00:01\n",
        {"header": "close,open,high,low,x,time", "separator": "|"},
        bar("2020-05-01 00:00", *OHLC),
    ),
    "columns declared": (
        "When,Bid Open,Bid High,Bid Low,Bid Close,Ticks\n"
        "2020-05-01 00:00,1687.5,1688,1687,1687.25,9\n2020-05-01 00:01,1687.5,1688,1687,1687.25,9\n",
        {
            "columns": {
                "time": "When",
                "open": "bid open",
                "high": "Bid High",
                "low": "Bid Low",
                "close": "Bid Close",
                "volume": "ticks",
            }
        },
        bar("2020-05-01 00:00", *OHLC, 9.0),
    ),
    "date and time declared": (
        "Session,Clock Time,Open,High,Low,Close\n"
        "2020-05-01,00:00,1687.5,1688,1687,1687.25\n2020-05-01,00:01,1687.5,1688,1687,1687.25\n",
        {"columns": {"date": "Session", "time": "Clock Time"}},
        bar("2020-05-01 00:00", *OHLC),
    ),
    "seconds since 1970": (
        "timestamp,open,high,low,close\n1588291200,1687.5,1688,1687,1687.25\n"
        "1588291260,1687.5,1688,1687,1687.25\n",
        {},
        bar("2020-05-01 00:00", *OHLC),
    ),
    "Investing.com": (
        '\ufeff"Date","Price","Open","High","Low","Change"\r\n'
        '"May 05, 2020","1,690.25","1,690.50","1,691.00","1,690.00","0.18%"\r\n'
        '"May 04, 2020","1,687.25","1,687.50","1,688.00","1,687.00","1.29%"\r\n'
        '"May 01, 2020","1,687.25","1,687.50","1,688.00","1,687.00","-1.22%"',
        {"timeframe": "D1"},
        bar("2020-05-01", *OHLC, timeframe="D1"),
    ),
    "newest first, declared": (
        "2020-05-01 00:01,1687.5,1688,1687,1687.25\n2020-05-01 00:00,1687.5,1688,1687,1687.25\n",
        {"order": "newest"},
        bar("2020-05-01 00:00", *OHLC),
    ),
    "closes alone": (
        "Date,Close\r\n30/4/2020,1687.25\r\n1/5/2020,1687.25\r\n",
        {"timeframe": "D1", "columns": dict.fromkeys(("open", "high", "low"), "Close")},
        bar("2020-04-30", 1687.25, 1687.25, 1687.25, 1687.25, timeframe="D1"),
    ),
    "days above 12": (
        "Date,Open,High,Low,Close\n5/1/2020,1687.5,1688,1687,1687.25\n5/13/2020,1687.5,1688,1687,1687.25\n",
        {"timeframe": "D1"},
        bar("2020-05-01", *OHLC, timeframe="D1"),
    ),
    "percent and names nobody knows": (
        "time,range,open,high,low,close,change\n2020-05-01 00:00,1.0,1687.5,1688,1687,1687.25,-1.2%\n"
        "2020-05-01 00:01,n/a,1687.5,1688,1687,1687.25,0.3%\n",
        {},
        bar("2020-05-01 00:00", *OHLC),
    ),
    "an offset in each time": (
        "datetime,open,high,low,close\n2020-05-01 02:00:00+02:00,1687.5,1688,1687,1687.25\n"
        "2020-05-01 02:01:00+02:00,1687.5,1688,1687,1687.25\n",
        {"timezone": "Europe/Berlin"},
        bar("2020-05-01 00:00", *OHLC),
    ),
    "milliseconds since 1970": (
        "open_time,open,high,low,close\n1588291200000,1687.5,1688,1687,1687.25\n"
        "1588291260000,1687.5,1688,1687,1687.25\n",
        {},
        bar("2020-05-01 00:00", *OHLC),
    ),
    "cTrader, as a cBot may write it": (
        "01-05-2020 00.00|1687,5|1688,0|1687,0|1687,25|12\n01-05-2020 00.01|1687,5|1688,0|1687,0|1687,25|7\n",
        {
            "separator": "|",
            "decimal": ",",
            "header": "time,open,high,low,close,volume",
            "time_format": "%d-%m-%Y %H.%M",
        },
        bar("2020-05-01 00:00", *OHLC, 12.0),
    ),
    "numbers that JSON has no word for": (
        "time,open,high,low,close\n2020-05-01 00:00,+1687.5,01688.,1687.,1687.25\n"
        "2020-05-01 00:01,1687.5,1688,1687,1687.25\n",
        {},
        bar("2020-05-01 00:00", *OHLC),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_it_reads_the_form_of(form, tmp_path):
    content, settings, first = FORMS[form]

    bars, defects = read(feed(written(tmp_path, content), **settings))

    assert [] == defects
    assert len(content.split("\n")) - 3 <= len(bars) <= 3
    assert first == bars[0]


def test_a_packed_file_is_unpacked(tmp_path):
    path = written(tmp_path, gzip.compress((HEADED + A_MINUTE).encode(), mtime=0), "bars.csv.gz")

    bars, _ = read(feed(path))

    assert [bar("2020-05-01 00:00", *OHLC)] == bars


def test_the_same_bars_come_again(tmp_path):
    csv = feed(written(tmp_path, HEADED + A_MINUTE + LINE.format(1)))
    csv.startup(INSTRUMENTS)

    once, again = ([*csv.stream_market(INSTRUMENTS, print)] for _ in range(2))

    assert 2 == len(once)
    assert once == again


def test_the_time_of_a_bar_is_its_open_and_it_is_known_at_its_end(tmp_path):
    bars, _ = read(feed(written(tmp_path, HEADED + LINE.format(15)), timeframe="M15"))

    assert [(ns("2020-05-01 00:15"), ns("2020-05-01 00:30"))] == [(bar.start, bar.time) for bar in bars]


def test_a_day_on_which_clocks_are_put_back_has_25_hours(tmp_path):
    path = written(tmp_path, "Date,Open,High,Low,Close\n2020-11-01,2,3,1,2\n2020-11-02,2,3,1,2\n")

    bars, _ = read(feed(path, timezone="America/New_York", timeframe="D1"))

    assert [25, 24] == [(bar.time - bar.start) / (3600 * SECOND) for bar in bars]
    assert bars[0].time == bars[1].start


def test_an_hour_that_its_clock_shows_twice_is_two_hours(tmp_path):
    shown = ("00:30", "01:00", "01:30", "01:00", "01:30", "02:00")
    path = written(tmp_path, HEADED + "".join(f"2020-11-01 {time}:00,2,3,1,2\n" for time in shown))

    bars, defects = read(feed(path, timezone="America/New_York", timeframe="M30"))

    assert [] == defects
    meant = ("04:30", "05:00", "05:30", "06:00", "06:30", "07:00")
    assert [ns(f"2020-11-01 {time}") for time in meant] == [bar.start for bar in bars]


def test_conformance(tmp_path):
    path = written(tmp_path, HEADED + "".join(map(LINE.format, range(60))))

    check_conformance(lambda: feed(path))


# What cannot be right.

GOOD = "2020-05-01 00:00:00,1687.5,1688.0,1687.0,1687.25"


@pytest.mark.parametrize(
    ("line", "kind", "reason"),
    [
        ("2020-05-01 00:00:00,1687.5,1688.0,1687.0,1687.25", "duplicate", "line 2 has the same time"),
        ("2020-04-30 23:59:00,1,1,1,1", "backward", "its time is before that of line 2"),
        ("2020-05-01 00:01:00,1,2,3,1", "broken_ohlc", "high 2.0 is below low 3.0"),
        ("2020-05-01 00:01:00,nan,2,1,1", "not_finite", "open is nan"),
        ("2020-05-01 00:01:00,1,1e999,1,1", "not_finite", "high is inf"),
        ("2020-05-01 00:01:00,1,1,0,1", "not_positive", "low is 0.0"),
        ("2020-05-01 00:01:00,1,1,1", "unreadable", "it has 4 fields, not 5"),
        ("2020-05-01 00:01:00,1,1,1,1,1", "unreadable", "it has 6 fields, not 5"),
        ("2020-05-01 00:01:00,1,1,1,", "unreadable", 'close is "", not a number'),
        ("2020-05-01 00:01:00,1,1,1,1_0", "unreadable", 'close is "1_0", not a number'),
        ("2020-05-01 00:01:00,1,1,one,1", "unreadable", 'low is "one", not a number'),
        ("2020-05-01 00:01:00,1,1,1,1]", "unreadable", 'close is "1]", not a number'),
        ("2020-05-01 00:01:00,1,[1],1,1", "unreadable", 'high is "[1]", not a number'),
        ("2020-05-01 00:01:00,1,null,1,1", "unreadable", 'high is "null", not a number'),
        ("2020-05-01 00:01,1,1,1,1", "unreadable", '"00:01" is not a time of day like %H:%M:%S'),
        ("2020-02-30 00:01:00,1,1,1,1", "unreadable", '"2020-02-30" is not a date: day '),
        ("time,open,high,low,close", "unreadable", '"time" is not a date like %Y-%m-%d'),
        ("1969-12-31 23:00:00,1,1,1,1", "unreadable", "1969-12-31 23:00 is not a time between 1970"),
        ("2400-12-31 23:00:00,1,1,1,1", "unreadable", "2400-12-31 23:00 is not a time between 1970"),
        ("rubbish", "unreadable", "it has 1 fields, not 5"),
    ],
)
def test_a_line_that_cannot_be_right_is_rejected_and_the_rest_is_read(line, kind, reason, tmp_path):
    path = written(tmp_path, f"{HEADED}{GOOD}\n{line}\n2020-05-01 00:02:00,1,1,1,1\n")

    bars, defects = read(feed(path))

    assert [ns("2020-05-01 00:00"), ns("2020-05-01 00:02")] == [bar.start for bar in bars]
    assert [(kind, 3, line)] == [(defect.kind, defect.line, defect.text) for defect in defects]
    assert defects[0].reason.startswith(reason)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"2020-05-01 00:01:00,1,1,\xff\xfe,1", "2020-05-01 00:01:00,1,1,\\xff\\xfe,1"),
        (b"2020-05-01 00:01:00,1,\x00\x00,1,1", "2020-05-01 00:01:00,1,\x00\x00,1,1"),
        (b"\x00" * 5, "\x00" * 5),
        (b"2020-05-01 00:01:00\x00,1,1,1,1", "2020-05-01 00:01:00\x00,1,1,1,1"),
        (b"\xe2\x82\xac" * 300, "\u20ac" * 300),
        (b"x" * 501, "x" * 500 + "..."),
    ],
)
def test_bytes_that_are_no_text_are_rejected_and_shown(line, shown, tmp_path):
    path = written(tmp_path, HEADED.encode() + GOOD.encode() + b"\n" + line + b"\n")

    _, defects = read(feed(path))

    assert [("unreadable", 3, shown)] == [(defect.kind, defect.line, defect.text) for defect in defects]


def test_a_line_of_another_symbol_is_rejected(tmp_path):
    content = "symbol,time,open,high,low,close\nXAUUSD,2020-05-01,2,3,1,2\nXAGUSD,2020-05-02,2,3,1,2\n"

    bars, defects = read(feed(written(tmp_path, content), timeframe="D1"))

    assert 1 == len(bars)
    assert [(3, 'it is of "XAGUSD", not of "XAUUSD"')] == [(each.line, each.reason) for each in defects]


def test_the_symbol_is_that_of_the_first_line_that_has_all_fields(tmp_path):
    content = "2020-05-01 00:00,1,1,1,1\nGOLD,2020-05-01 00:01,2,3,1,2\nGOLD,2020-05-01 00:02,2,3,1,2\n"

    bars, defects = read(feed(written(tmp_path, content)))

    assert 2 == len(bars)
    assert [(1, "it has 5 fields, not 6")] == [(each.line, each.reason) for each in defects]


def test_a_line_that_breaks_off_is_rejected(tmp_path):
    path = written(tmp_path, "2020.05.01,00:00,2.5,3.5,1.5,2.5,9\n2020.05.01,00:01,2.5,3.5,1.5,2")

    _, defects = read(feed(path))

    assert ["it has 6 fields, not 7"] == [defect.reason for defect in defects]


def test_an_hour_that_its_clock_skips_is_rejected(tmp_path):
    lines = [f"2020-03-08 {time}:00,2,3,1,2\n" for time in ("01:00", "02:00", "03:00")]

    path = written(tmp_path, HEADED + "".join(lines))
    bars, defects = read(feed(path, timezone="America/New_York", timeframe="H1"))

    assert [ns("2020-03-08 06:00"), ns("2020-03-08 07:00")] == [bar.start for bar in bars]
    assert [3] == [defect.line for defect in defects]


def test_blank_lines_are_skipped_and_counted_as_lines(tmp_path):
    path = written(tmp_path, f"\n \r\n{HEADED}\n{A_MINUTE}\n\r\nrubbish\n\n")

    bars, defects = read(feed(path))

    assert 1 == len(bars)
    assert [8] == [defect.line for defect in defects]


# What is not begun with.


@pytest.mark.parametrize(
    ("content", "settings", "reason"),
    [
        ("", {}, "bars.csv is empty"),
        ("\n \n\r\n", {}, "bars.csv is empty"),
        (HEADED, {}, "bars.csv has a header and nothing after it"),
        (
            "time,open,high,low,last price\n2020-05-01,1,1,1,1\n",
            {},
            'bars.csv has no column for "close"; it has: time, open, high, low, last price; '
            'name it with columns = {close = "..."}',
        ),
        (
            "Date,Close\n1/1/2015,1181.97\n",
            {},
            'bars.csv has no column for "open"; it has: Date, Close; name it with columns = {open = "..."}; '
            "where the close may stand for it, with columns = "
            '{open = "Close", high = "Close", low = "Close"}',
        ),
        ("open,high,low,close\n1,1,1,1\n", {}, 'bars.csv has no column for "time"'),
        (
            HEADED + A_MINUTE,
            {"columns": {"close": "Last"}},
            'bars.csv has no column "Last" for close; it has: time, open, high, low, close',
        ),
        (
            "Date,Open,High,Low,Close\n5/1/2015,1,1,1,1\n",
            {},
            'bars.csv writes "5/1/2015", which may be of two months; '
            'say time_format = "%d/%m/%Y" or time_format = "%m/%d/%Y"',
        ),
        ("5/1/2015,1,1,1,1\n", {}, 'bars.csv writes its times in no form that is known: "5/1/2015"'),
        (
            "Date,Open,High,Low,Close\n5/13/2015,1,1,1,1\n13/5/2015,1,1,1,1\n",
            {},
            'bars.csv writes its times in no form that is known: "5/13/2015"',
        ),
        (
            HEADED + A_MINUTE,
            {"time_format": "%d/%m/%Y"},
            'bars.csv writes its times not in %d/%m/%Y: "2020-05-01 00:00:00"',
        ),
        (
            HEADED + "2020-05-01 00:00:00+02:00,1,1,1,1\n",
            {},
            "line 2: its label says UTC+02:00, and timezone says UTC+00:00 then; declare the clock that",
        ),
        (
            "2020.05.01,00:00,1,1,1,1,1,1,1\n",
            {},
            'bars.csv has no header and 9 columns; name them with header = "time,open,high,low,close,volume"',
        ),
        (
            "open,high,low,close,a,b,c,time\n1,1,1,1,2020-05-01\n",
            {},
            "bars.csv has 8 names of columns, and 5 fields in most lines; if its separator is another",
        ),
        ("x" * (1 << 20) + "\n", {}, "bars.csv has a line without end; is it text?"),
        (
            "Date,Open,High,Low,Close\n05-01-2015,1,1,1,1\n",
            {},
            'writes its times in no form that is known: "05-01-2015"; say how with time_format',
        ),
        (
            "2020-05-01,1,1,1,1,9,9\n",
            {"header": "time,open,high,low,close"},
            "bars.csv has 5 names of columns, and 7 fields in most lines",
        ),
        ("a" * 300 + ",b\n1,1\n", {}, "it has: " + "a" * 200 + "...; name it"),
        (
            "Date;Open;High;Low;Close\n2020-05-01;110,125;110,250;110,000;110,125\n",
            {},
            'line 2: open is "110,125", not a number; if its comma groups thousands say decimal = "."',
        ),
        (
            "Date;Open;High;Low;Close\n2020-05-01;1.5;1.5;1.5;1.5\n",
            {"decimal": ","},
            'line 2: open is "1.5", not a number',
        ),
        (
            HEADED + "".join(map(LINE.format, range(5))),
            {"timeframe": "M15"},
            'bars.csv has bars M1 apart, and timeframe says M15; write timeframe = "M1"',
        ),
        (
            HEADED + "".join(f"2020-05-01 {hour:02}:00:00,1,1,1,1\n" for hour in range(24)),
            {"timeframe": "M15"},
            "bars.csv has bars H1 apart, and timeframe says M15",
        ),
        (HEADED + "2020-05-01,a,b,c,d\n", {}, 'nothing to read in its first lines; line 2: open is "a"'),
        (
            HEADED.encode("utf-16-le"),
            {},
            'bars.csv looks like UTF-16 without its mark; say encoding = "utf-16-le"',
        ),
        (b"PK\x03\x04\n", {}, "bars.csv cannot be read: File is not a zip file"),
        (HEADED + A_MINUTE, {"member": "a.csv"}, 'bars.csv is no zip archive, so it has no member "a.csv"'),
        (b"PAR1\n", {}, 'bars.csv is Parquet; read it with use = "parquet"'),
    ],
)
def test_a_file_that_is_not_understood_is_refused_with_the_way_out(content, settings, reason, tmp_path):
    csv = feed(written(tmp_path, content), **settings)

    with pytest.raises(UnusableData, match=re.escape(reason)):
        csv.startup(INSTRUMENTS)


def test_a_file_that_is_not_there_is_looked_for_in_vain(tmp_path):
    csv = feed(tmp_path / "gold.csv")

    with pytest.raises(UnusableData, match=rf"there is no file gold\.csv \(looked in {tmp_path}\)"):
        csv.startup(INSTRUMENTS)
    with pytest.raises(UnusableData, match=r"there is no file gold\.csv"):
        csv.source()


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(UnusableData, match="is a folder"):
        feed(tmp_path).startup(INSTRUMENTS)


@pytest.mark.parametrize("cut", [10, -4])
def test_a_packed_file_that_breaks_off_is_refused_or_says_so_on_the_way(cut, tmp_path):
    packed = gzip.compress((HEADED + A_MINUTE).encode(), mtime=0)[:cut]
    csv = feed(written(tmp_path, packed, "bars.csv.gz"))

    with pytest.raises(UnusableData, match=r"bars\.csv\.gz cannot be read"):
        read(csv)


@pytest.mark.parametrize("name", ["bars.csv", "bars.csv.gz", "bars"])
def test_the_content_and_not_the_name_says_how_a_file_is_packed(name, tmp_path):
    plain = (HEADED + A_MINUTE).encode()

    for content in (plain, gzip.compress(plain, mtime=0), plain.decode().encode("utf-16")):
        assert 1 == len(read(feed(written(tmp_path, content, name)))[0])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"timezone": "Europe/Londn"}, 'there is no time zone "Europe/Londn"'),
        ({"timeframe": "15m"}, 'timeframe is "15m"; write a unit and a count'),
        ({"separator": ";;"}, 'separator is ";;"; it must be one character'),
        ({"time_format": "%H:%M"}, 'time_format is "%H:%M"; write a date'),
        ({"columns": {"clos": "Last"}}, 'columns has "clos"; it may name date, time, open'),
        ({"scale": Decimal(0)}, "scale must be above 0: it is 0"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, reason, tmp_path):
    with pytest.raises(ValueError, match=re.escape(reason)):
        feed(tmp_path / "bars.csv", **settings)


# Where it comes from, and what it takes.


def test_its_source_is_the_file_and_the_digest_of_its_bytes(tmp_path):
    source = feed(written(tmp_path, HEADED)).source()

    assert str(tmp_path / "bars.csv") == source.location
    assert hashlib.sha256(HEADED.encode()).hexdigest() == source.digest


def peak_of(folder: Path, lines: int, pack: Callable[[bytes], bytes], *, backwards: bool = False) -> int:
    """The most memory that was held at once, in bytes, while so many lines were read."""
    start = ns("2020-05-01 00:00") // SECOND
    rows = [f"{start + 60 * number},1687.5,1688.0,1687.0,1687.25\n" for number in range(lines)]
    content = HEADED + "".join(reversed(rows) if backwards else rows)
    csv = feed(written(folder, pack(content.encode())), clock_check=False)
    csv.startup(INSTRUMENTS)
    tracemalloc.start()
    count = sum(1 for _ in csv.stream_market(INSTRUMENTS, print))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lines == count
    return most


@pytest.mark.parametrize("pack", [bytes, partial(gzip.compress, mtime=0)])
def test_memory_does_not_grow_with_the_file(pack, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_BLOCK", 4096)

    assert peak_of(tmp_path, 10_000, pack) < peak_of(tmp_path, 1_000, pack) + 50_000


# Archives, encodings, and files with the newest line first.


def zipped(folder: Path, content: str, **others: str) -> Path:
    with zipfile.ZipFile(folder / "bars.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {"bars.csv": content, **others}.items():
            archive.writestr(name, text)
    return folder / "bars.zip"


def test_an_archive_is_read_without_unpacking_it(tmp_path):
    bars, _ = read(feed(zipped(tmp_path, HEADED + A_MINUTE, **{"bars.txt": "gaps"})))

    assert [bar("2020-05-01 00:00", *OHLC)] == bars


def test_of_several_files_in_an_archive_one_is_declared(tmp_path):
    path = zipped(tmp_path, HEADED + A_MINUTE, **{"other.csv": HEADED + LINE.format(7)})

    with pytest.raises(UnusableData, match=r"it has: bars\.csv, other\.csv; say which with member"):
        feed(path).startup(INSTRUMENTS)
    assert [bar("2020-05-01 00:07", *OHLC)] == read(feed(path, member="other.csv"))[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("packed", [False, True])
def test_from_the_newest_line_on_it_is_read_from_its_end(encoding, packed, tmp_path):
    times = ("00:05", "00:04", "00:02", "rubbish", "00:03", "00:02", "", "00:01", "00:01")
    rows = [f"2020-05-01 {time},1,1,1,{number}\n" if time else "\n" for number, time in enumerate(times, 1)]
    content = (HEADED + "".join(rows)).encode(encoding)
    path = written(tmp_path, gzip.compress(content, mtime=0) if packed else content)

    bars, defects = read(
        feed(path, timeframe="M1", order="newest", columns={"volume": "close", "close": "open"})
    )

    assert [9.0, 6.0, 5.0, 2.0, 1.0] == [each.volume for each in bars]
    assert [
        ("duplicate", 9, "line 10 has the same time"),
        ("unreadable", 5, '"rubbish" is not a time of day like %H:%M'),
        ("backward", 4, "its time is before that of line 6"),
    ] == [(each.kind, each.line, each.reason) for each in defects]


def test_most_steps_in_the_first_lines_say_which_line_is_the_newest(tmp_path):
    back, forth = (5, 4, 3, 9, 2, 1), (1, 2, 9, 3, 4, 5)

    for minutes in (back, forth):
        bars, _ = read(feed(written(tmp_path, HEADED + "".join(map(LINE.format, minutes)))))
        assert ns("2020-05-01 00:01") == bars[0].start
    # Two lines are too few to tell.
    _, defects = read(feed(written(tmp_path, HEADED + LINE.format(2) + LINE.format(1)), clock_check=False))
    assert ["backward"] == [each.kind for each in defects]


@pytest.mark.parametrize("pack", [bytes, partial(gzip.compress, mtime=0)])
def test_memory_does_not_grow_with_a_file_that_is_read_from_its_end(pack, tmp_path, monkeypatch):
    # So that a small file has many blocks.
    monkeypatch.setattr(files, "_BLOCK", 4096)

    assert (
        peak_of(tmp_path, 5_000, pack, backwards=True) < peak_of(tmp_path, 500, pack, backwards=True) + 20_000
    )


# Bids and asks in files of their own.


def two_sided(folder: Path, bids: dict[str, float], asks: dict[str, float], **settings: Any) -> Csv:
    """A feed of flat bars by their time."""

    def flat(prices: dict[str, float]) -> str:
        return HEADED + "".join(f"{time},{price},{price},{price},{price}\n" for time, price in prices.items())

    ask_path = written(folder, flat(asks), "asks.csv")
    return feed(written(folder, flat(bids)), ask_path=ask_path, clock_check=False, **settings)


def test_the_spread_is_that_of_the_opens(tmp_path):
    asks = written(tmp_path, HEADED + "2020-05-01 00:00:00,1687.85,1689.0,1687.1,1688.0\n", "asks.csv")

    bars, defects = read(feed(written(tmp_path, HEADED + A_MINUTE), ask_path=asks))

    assert [] == defects
    # 1687.85 - 1687.5, without the noise of floats.
    assert [bar("2020-05-01 00:00", *OHLC, 0.0, 0.35)] == bars


def test_a_line_without_its_other_side_is_a_defect(tmp_path):
    csv = two_sided(
        tmp_path,
        bids={
            "2020-05-01 00:01": 1.0,
            "2020-05-01 00:03": 1.0,
            "2020-05-01 00:04": 1.0,
            "2020-05-01 00:06": 1.0,
        },
        asks={
            "2020-05-01 00:00": 2.0,
            "2020-05-01 00:01": 2.0,
            "2020-05-01 00:02": 2.0,
            "2020-05-01 00:04": 0.5,
            "2020-05-01 00:05": 2.0,
            "2020-05-01 00:06": 2.0,
            "2020-05-01 00:07": 2.0,
        },
    )

    bars, defects = read(csv)

    assert [ns("2020-05-01 00:01"), ns("2020-05-01 00:06")] == [each.start for each in bars]
    assert [
        ("unreadable", 2, "in asks.csv: there is no bid of its time"),
        ("unreadable", 4, "in asks.csv: there is no bid of its time"),
        ("unreadable", 3, "asks.csv has no ask of its time"),
        ("not_positive", 4, "spread is -0.5"),
        ("unreadable", 6, "in asks.csv: there is no bid of its time"),
        ("unreadable", 5, "in asks.csv: the bid of its time is a defect"),
        ("unreadable", 8, "in asks.csv: there is no bid of its time"),
    ] == [(each.kind, each.line, each.reason) for each in defects]


def test_what_cannot_be_right_in_either_file_is_a_defect(tmp_path):
    csv = two_sided(
        tmp_path,
        bids={"2020-05-01 00:00": 1.0, "2020-05-01 00:01": 1.0, "rubbish": 1.0, "2020-05-01 00:02": 1.0},
        asks={"2020-05-01 00:00": 2.0, "2020-05-01 00:01": float("nan"), "2020-05-01 00:02": 2.0},
    )

    bars, defects = read(csv)

    assert [ns("2020-05-01 00:00"), ns("2020-05-01 00:02")] == [each.start for each in bars]
    assert [
        (3, "in asks.csv: open is nan"),
        (3, "asks.csv has no ask of its time"),
        (4, '"rubbish" is not a date like %Y-%m-%d'),
    ] == [(each.line, each.reason) for each in defects]


def test_an_ask_whose_bid_is_a_defect_is_one_too_and_shown_as_it_stands(tmp_path):
    asks = written(
        tmp_path,
        HEADED + "2020-05-01 00:00:00,2,1,2,2\n2020-05-01 00:00:00,2,2,2,2\n" + LINE.format(1),
        "asks.csv",
    )
    bids = written(tmp_path, HEADED + "2020-05-01 00:00:00,3,3,3,3\n" + LINE.format(1))

    _, defects = read(feed(bids, ask_path=asks))

    assert (3, "in asks.csv: the bid of its time is a defect", "2020-05-01 00:00:00,2,2,2,2") in [
        (each.line, each.reason, each.text) for each in defects
    ]
    assert 3 == len(defects)


def test_of_two_asks_of_one_time_the_sound_one_is_used(tmp_path):
    asks = written(
        tmp_path, HEADED + "2020-05-01 00:00:00,2,1,2,2\n2020-05-01 00:00:00,2,2,2,2\n", "asks.csv"
    )
    bids = written(tmp_path, HEADED + "2020-05-01 00:00:00,3,3,3,3\n2020-05-01 00:00:00,1,1,1,1\n")

    bars, defects = read(feed(bids, ask_path=asks))

    assert [bar("2020-05-01 00:00", 1.0, 1.0, 1.0, 1.0, 0.0, 1.0)] == bars
    assert [
        ("broken_ohlc", 2, "in asks.csv: high 1.0 is below low 2.0"),
        ("not_positive", 2, "spread is -1.0"),
    ] == [(each.kind, each.line, each.reason) for each in defects]


@pytest.mark.parametrize("wrong", ["bids", "asks"])
def test_one_time_far_ahead_costs_one_bar_and_not_all_after(wrong, tmp_path):
    right = {f"2020-05-01 00:{minute:02}": 1.0 for minute in range(10)}
    astray = {time.replace("2020-05-01 00:04", "2033-05-01 00:04"): 1.0 for time in right}

    bars, defects = read(two_sided(tmp_path, **({"bids": right, "asks": right} | {wrong: astray})))

    assert 9 == len(bars)
    assert 2 == len(defects)


def test_after_a_hole_in_one_file_both_go_on(tmp_path):
    days = [f"2020-05-{day:02}" for day in range(1, 31)]
    few = dict.fromkeys((*days[:2], *days[20:]), 1.0)

    bars, defects = read(two_sided(tmp_path, few, dict.fromkeys(days, 1.5), timeframe="D1"))

    # The first bid after it is not believed alone, nor is its ask used then.
    assert 11 == len(bars)
    assert 12 * 2 + 18 == 2 * len(bars) + len(defects)


def test_both_files_are_its_source_and_are_described(tmp_path):
    csv = two_sided(tmp_path, {"2020-05-01": 1.0}, {"2020-05-01": 1.5}, timeframe="D1")
    before, described = csv.source(), csv.describe_source()

    written(tmp_path, HEADED, "asks.csv")

    assert f"{tmp_path / 'bars.csv'}, {tmp_path / 'asks.csv'}" == before.location
    assert before.digest != csv.source().digest
    assert ["file: text in UTF-8", "asks, file: text in UTF-8"] == described[::4]


def test_an_ask_file_that_is_not_there_is_looked_for_in_vain(tmp_path):
    csv = feed(written(tmp_path, HEADED + A_MINUTE), ask_path=tmp_path / "asks.csv")

    with pytest.raises(UnusableData, match=r"there is no file asks\.csv"):
        csv.startup(INSTRUMENTS)


# Whatever is in the file.

FIELDS = st.sampled_from(
    ["1687.5", "0", "-1", "nan", "1e400", "", "x", '"', "1,5", "2020-05-01", "00:01", "\x00", "\u20ac", "_"]
)
LINES = (
    st.integers(0, 59).map(LINE.format).map(str.strip)
    | st.lists(FIELDS, max_size=8).map(",".join)
    | st.text(max_size=20)
)


def check_that_nothing_is_lost(csv: Csv, content: bytes) -> None:
    """Lines in = bars + defects + skipped lines, or the file is refused with a clear error."""
    csv.path.write_bytes(content)
    try:
        bars, defects = read(csv)
    except UnusableData:
        return
    lines = content.split(b"\n")
    lines = lines[:-1] if lines[-1] == b"" else lines
    skipped = csv._table.skipped
    blank = sum(not line.strip() for line in lines[skipped:])
    assert len(lines) == len(bars) + len(defects) + skipped + blank
    assert all(before.time < after.time for before, after in pairwise(bars))
    assert all(bar.is_sound for bar in bars)
    assert len(defects) == len({defect.line for defect in defects})


@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_content_makes_it_fail_but_with_a_clear_error(content, tmp_path_factory):
    check_that_nothing_is_lost(feed(tmp_path_factory.getbasetemp() / "any.csv"), content)


@given(
    header=st.sampled_from(["", HEADED]),
    lines=st.lists(LINES, max_size=30),
    end=st.sampled_from(["\n", "\r\n"]),
    timezone=st.sampled_from(["UTC", "America/New_York"]),
    order=st.sampled_from(["", "oldest", "newest"]),
)
def test_no_line_is_lost(header, lines, end, timezone, order, tmp_path_factory):
    content = (header + A_MINUTE + end.join(lines)).encode()

    path = tmp_path_factory.getbasetemp() / "lines.csv"
    check_that_nothing_is_lost(feed(path, timezone=timezone, order=order), content)


@given(cents=st.lists(st.integers(1, 10**9), min_size=4, max_size=4), digits=st.integers(0, 6))
def test_prices_are_what_python_reads(cents, digits, tmp_path_factory):
    low, opened, closed, high = sorted(cent / 100 for cent in cents)
    texts = [f"{value:.{digits + 2}f}" for value in (opened, high, low, closed)]
    path = written(tmp_path_factory.getbasetemp(), f"{HEADED}2020-05-01 00:00,{','.join(texts)}\n", "p.csv")

    bars, _ = read(feed(path))

    assert [bar("2020-05-01 00:00", *map(float, texts))] == bars
