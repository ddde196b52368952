"""`data check` says of each real file what SOURCES.md says of it: the clock, and what is wrong."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from nicegold import SECOND, Instrument, Sessions, parse_timeframe
from nicegold_ops.commands import invoke
from nicegold_ops.inspection.gaps import Gaps
from nicegold_plugins.feeds.csv import Csv
from tests.shared import shared

pytestmark = pytest.mark.slow

ZIP = "histdata_m1/HISTDATA_COM_ASCII_{}.zip"
#: The file, how it is declared, what is said of the clock ("" cannot tell), the clock in SOURCES.md that
#: must be among those that are possible, and findings with their counts.
FILES: list[tuple[str, str, str, str, dict[str, int]]] = [
    ("nicegold_origin/XAUUSD_M15.csv", "", "agrees", "UTC", {}),
    ("nicegold_origin/XAUUSD_M1.older.csv", "", "agrees", "UTC", {}),
    (
        "simom1_mt5/XAUUSD_H1.older.csv.gz",
        "--timeframe H1",
        "",
        "",
        {"timeframe": 1, "other_timeframe": 1, "sunday": 109},
    ),
    ("simom1_mt5/XAUUSD_H4.older.csv.gz", "--timeframe H4", "", "", {"timeframe": 1, "other_timeframe": 1}),
    ("simom1_mt5/XAUUSD_D1.older.csv.gz", "", "", "", {"sunday": 109}),
    ("simom1_mt5/XAUUSD_W1.older.csv.gz", "", "", "", {}),
    ("simom1_mt5/EURUSD_D1.older.csv.gz", "--instrument EURUSD", "", "", {"flat": 1010}),
    ("simom1_mt5/USDJPY_D1.older.csv.gz", "--instrument USDJPY", "", "", {"flat": 4019}),
    ("ejtrader_mt5/XAUUSDh1.older.csv.gz", "", "contradicts", "EET", {"scale": 40_320}),
    ("ejtrader_mt5/XAUUSDh4.older.csv.gz", "", "contradicts", "EET", {"scale": 10_080}),
    ("ejtrader_mt5/XAUUSDd1.older.csv.gz", "", "", "", {"scale": 1_680}),
    ("ejtrader_mt5/USDJPYh1.older.csv.gz", "--instrument USDJPY", "contradicts", "EET", {"scale": 40_320}),
    ("ejtrader_mt5/EURUSDh4.csv.gz", "--instrument EURUSD", "contradicts", "EET", {"scale": 14_400}),
    ("ejtrader_mt5/EURUSDd1.csv.gz", "--instrument EURUSD", "", "", {"scale": 2_400}),
    ("ejtrader_mt5/XAUUSDh1.older.csv.gz", "--timezone EET --set scale=100", "agrees", "EET", {"gap": 213}),
    ("nautilus_testdata/fxcm_usdjpy-m1-bid-2013.csv.gz", "--instrument USDJPY", "agrees", "UTC", {}),
    (
        "nautilus_testdata/truefx_usdjpy-ticks.csv",
        "--feed ticks --instrument USDJPY",
        "",
        "",
        {"spread_zero": 1, "round_rows": 1},
    ),
    (
        "nautilus_testdata/quote_tick_data.csv",
        "--feed ticks --instrument EURUSD --timezone America/New_York",
        "",
        "",
        {},
    ),
    ("backtestingpy/EURUSD.csv", "--instrument EURUSD", "agrees", "UTC", {"round_rows": 1}),
    ("mt5_native_budimanlai/XAUUSD_M15.csv", "", "contradicts", "EET", {}),
    ("mt5_native_budimanlai/XAUUSD_M15.csv", "--timezone EET", "agrees", "EET", {}),
    ("mt5_native_budimanlai/XAUUSD_M15.csv", "--timezone America/New_York+7", "contradicts", "EET", {}),
    ("mt5_native_budimanlai/XAUUSD_M5.older.csv.gz", "", "contradicts", "EET", {}),
    ("mt5_native_budimanlai/XAUUSD_H4.csv", "", "contradicts", "EET", {}),
    ("mt5_native_rupamsaha/XAUUSD_M5.csv", "", "contradicts", "EET", {"round_rows": 1}),
    ("mt4_noheader_ananiasdave/XAUUSD15.older.csv.gz", "", "contradicts", "EET", {}),
    ("mt5_csv_variants/abbasi_XAUUSD_M5_symbolcol.csv.gz", "", "agrees", "Europe/London", {}),
    ("mt5_csv_variants/javier_EURUSD_M1.csv", "--instrument EURUSD", "", "", {"round_rows": 1}),
    ("mt5_csv_variants/javier_XAUUSD_H4.csv.gz", "", "contradicts", "EET", {}),
    ("mt5_csv_variants/justus_XAUUSD_M5_extracol.csv", "", "contradicts", "UTC+3", {}),
    # CET is UTC+2 until 2025-10-26, as SOURCES.md measured in September and October.
    ("mt5_csv_variants/kompmajster_XAUUSD_M5_dupcol.csv.gz", "", "contradicts", "CET", {}),
    ("mt5_csv_variants/vykosis_XAUUSD_H1_3dp.csv.gz", "", "contradicts", "UTC-5", {"round_rows": 1}),
    ("web_export_variants/investingcom_XAUUSD_D1_bom_quoted_desc.csv", "", "", "", {"sunday": 28}),
    ("web_export_variants/mt4_noheader_XAUUSD_D1_1998.csv.gz", "", "", "", {"saturday": 291, "gap": 355}),
    (ZIP.format("XAUUSD_M12013"), "--timezone America/New_York", "agrees", "America/New_York", {}),
    (
        ZIP.format("AUDUSD_M12019"),
        "--timezone America/New_York --instrument AUDUSD",
        "contradicts",
        "Europe/London-5",
        {"backward": 59, "duplicate": 1},
    ),
    (
        "dukascopy_bi5/EURUSD/2019/01/BID_candles_hour_1.bi5",
        "--instrument EURUSD --set scale=100000",
        "agrees",
        "UTC",
        {"closed_market": 192},
    ),
    (
        "indicator_goldens/stockindicators_quotes_bad.csv",
        "--instrument SPY --set time_format=%m/%d/%Y",
        "",
        "",
        {"unreadable": 101, "not_positive": 55, "broken_ohlc": 9},
    ),
]


@cache
def told(name: str, options: str, folder: str) -> Any:
    """The answer of `data check`, as JSON."""
    out = f"{folder}/found.json"
    assert 0 == invoke(["data", "check", str(shared(f"data/{name}")), *options.split(), "--json", out])
    with open(out) as file:
        return json.load(file)


@pytest.mark.parametrize(
    ("name", "options", "says", "clock", "counts"),
    FILES,
    ids=[" ".join([name, options]).strip() for name, options, *_ in FILES],
)
def test_it_finds_what_is_known_of(name, options, says, clock, counts, tmp_path):
    found = told(name, options, str(tmp_path))

    assert (says or "cannot tell") == found["clock"]["says"], found["clock"]
    assert not clock or clock in found["clock"]["stretches"][0]["clocks"]
    kinds = {finding["kind"]: finding["count"] for finding in found["findings"]}
    assert counts == {kind: kinds.get(kind) for kind in counts}
    assert found["rows"] == found["events"] + sum(found["dropped"].values())


def test_it_finds_the_two_changes_of_a_clock_inside_one_file(tmp_path):
    found = told("mt4_noheader_ananiasdave/XAUUSD60.older.csv.gz", "--timezone EET", str(tmp_path))

    clock = found["clock"]
    assert "contradicts" == clock["says"]
    london, central, eastern = clock["stretches"]
    assert "Europe/London" in london["clocks"]
    assert "CET" in central["clocks"]
    assert ["EET"] == eastern["clocks"]
    # Both are at a turn of the year. 2013 is still UTC+1 and +2: so says its correlation with HistData.
    ends = [datetime.fromtimestamp(each["until"] // SECOND).strftime("%Y-%m") for each in (london, central)]
    assert ["2010-12", "2013-12"] == ends


def test_hours_that_hold_days_are_named_with_the_month_in_which_they_begin(tmp_path):
    found = told("simom1_mt5/XAUUSD_H1.older.csv.gz", "--timeframe H1", str(tmp_path))

    (change,) = (finding for finding in found["findings"] if finding["kind"] == "other_timeframe")
    assert ["2018-03"] == change["first"]
    assert "D1 apart from 2007-06 to 2018-02, H1 apart from 2018-03 to 2020-12" in change["why"]


def test_the_hole_of_600_hours_is_the_largest_gap(tmp_path):
    found = told("web_export_variants/mt4_noheader_XAUUSD_D1_1998.csv.gz", "", str(tmp_path))

    largest = found["gaps"][0]
    assert (24 * 24, 15) == ((largest["until"] - largest["after"]) // (3600 * SECOND), largest["missing"])


def test_a_file_with_closes_alone_is_refused(capsys):
    file = shared("data/web_export_variants/kku_XAUUSD_close_dmy_or_mdy_crlf.csv")

    assert 3 == invoke(["data", "check", str(file)])
    assert 'has no column for "open"' in capsys.readouterr().err


HISTDATA = [("XAUUSD_M12013", "America/New_York"), ("AUDUSD_M12019", "Europe/London-5")]


@pytest.mark.parametrize(("name", "timezone"), HISTDATA)
def test_each_gap_that_the_publisher_reports_is_found(name, timezone):
    published = json.loads(shared("data/golden/histdata_gap_reports.json").read_text())
    report = published["files"][f"HISTDATA_COM_ASCII_{name}.zip"]
    symbol, minute = name[:6], parse_timeframe("M1")
    instruments = {symbol: Instrument(symbol=symbol, tick_size=Decimal(1), sessions=Sessions.parse("always"))}
    feed = csv(ZIP.format(name), symbol, timezone, "M1")
    feed.startup(instruments)
    gaps = Gaps(Sessions(), minute, most=1_000_000)

    for bar in feed.stream_market(instruments, lambda defect: None):
        gaps.take(bar.start, bar.time)  # type: ignore[union-attr]

    found = [(gap.after, gap.until) for gap in gaps.largest()]
    for each in report["longest_publisher_gaps"]:
        after, before = (feed._clock.to_utc(ns(each[name])) for name in ("after", "before"))
        # The minutes of both ticks have bars.
        first, last = after // minute * minute + minute, before // minute * minute
        assert any(begin <= first and last <= end for begin, end in found), each


def csv(name: str, symbol: str, timezone: str, timeframe: str) -> Csv:
    path = shared(f"data/{name}")
    return Csv(instrument=symbol, path=path, timezone=timezone, timeframe=timeframe, clock_check=False)


def ns(text: str) -> int:
    return int((datetime.strptime(text, "%Y%m%d%H%M%S") - datetime(1970, 1, 1)).total_seconds()) * SECOND


#: What moved so much that a filter of spikes would take it for an error.
REAL = [
    ("ejtrader_mt5/XAUUSDd1.older.csv.gz", "EET", "D1", "2013-04-15", -0.09),
    ("web_export_variants/mt4_noheader_XAUUSD_D1_1998.csv.gz", "EET", "D1", "1999-09-28", 0.15),
    (ZIP.format("XAUUSD_M12013"), "America/New_York", "M1", "2013-09-06 08:30", 0.015),
    (ZIP.format("AUDUSD_M12019"), "Europe/London-5", "M1", "2019-01-02 17:36", -0.015),
]


@pytest.mark.parametrize(("name", "timezone", "timeframe", "moment", "least"), REAL)
def test_real_spikes_are_delivered(name, timezone, timeframe, moment, least):
    feed = csv(name, "XAUUSD", timezone, timeframe)
    instruments = {
        "XAUUSD": Instrument(symbol="XAUUSD", tick_size=Decimal(1), sessions=Sessions.parse("gold"))
    }
    feed.startup(instruments)
    wanted = feed._clock.to_utc(
        int((datetime.fromisoformat(moment) - datetime(1970, 1, 1)).total_seconds()) * SECOND
    )
    before = 0.0
    for bar in feed.stream_market(instruments, lambda defect: None):
        if bar.start >= wanted:  # type: ignore[union-attr]
            break
        before = bar.close  # type: ignore[union-attr]

    assert wanted == bar.start  # type: ignore[union-attr]
    move = bar.close / before - 1.0  # type: ignore[union-attr]
    assert move <= least if least < 0 else move >= least
