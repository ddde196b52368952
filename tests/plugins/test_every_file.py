"""Every file that SOURCES.md lists: its rows are bars, quotes or defects, or it is refused with the reason.

Clocks are those that SOURCES.md measured. The quotes belong to others, so the files are not in this
repository, and the tests skip where they are absent.
"""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from nicegold import Defect, Instrument, Market, UnusableData
from nicegold_plugins.feeds.csv import Csv
from nicegold_plugins.feeds.dukascopy import Dukascopy
from nicegold_plugins.feeds.parquet import Parquet
from nicegold_plugins.feeds.ticks import Ticks
from tests.shared import SHARED, shared

pytestmark = pytest.mark.slow

pytest.importorskip("pyarrow", reason="the extra parquet is not installed")

Feed: TypeAlias = Csv | Ticks | Parquet | Dukascopy

#: The feed's tick is a point of the file's spread; it is the same for all, since prices are not looked at.
INSTRUMENTS = {"IT": Instrument(symbol="IT", tick_size=Decimal("0.01"))}
#: The servers of brokers whose clocks change on New York's dates, and on Europe's.
NEW_YORK_SERVER, EUROPE_SERVER = "America/New_York+7", "EET"
NEW_YORK = "America/New_York"
#: The older part of a long file is enough to see that it is read; that all of it is there its count says.
ENOUGH = 20_000


def text(timeframe: str, timezone: str = "UTC", **settings: Any) -> tuple[type[Feed], dict[str, Any]]:
    return Csv, {"timeframe": timeframe, "timezone": timezone, **settings}


def quotes(timezone: str = "UTC") -> tuple[type[Feed], dict[str, Any]]:
    return Ticks, {"timezone": timezone}


def parquet(**settings: Any) -> tuple[type[Feed], dict[str, Any]]:
    return Parquet, settings


def points(timeframe: str, scale: int) -> tuple[type[Feed], dict[str, Any]]:
    return text(timeframe, EUROPE_SERVER, scale=Decimal(scale))


MINUTES = parquet(timeframe="M1", timezone=NEW_YORK)
CLOSES: dict[str, Any] = {"columns": dict.fromkeys(("open", "high", "low"), "Close")}

#: Which feed reads the file, with which settings, and what it rejects.
READ: dict[str, tuple[tuple[type[Feed], dict[str, Any]], dict[str, int]]] = {
    **{f"histdata_m1/XAUUSD_M1_{year}.parquet": (MINUTES, {}) for year in range(2010, 2018)},
    "histdata_m1/USDCAD_M1_2014.parquet": (MINUTES, {}),
    "histdata_m1/HISTDATA_COM_ASCII_XAUUSD_M12013.zip": (text("M1", NEW_YORK), {}),
    # The October hour that is there twice: its clock changes on Europe's dates.
    "histdata_m1/HISTDATA_COM_ASCII_AUDUSD_M12019.zip": (
        text("M1", "Europe/London-5"),
        {"backward": 59, "duplicate": 1},
    ),
    "nicegold_origin/XAUUSD_M15.csv": (text("M15"), {}),
    "nicegold_origin/XAUUSD_M1.older.csv": (text("M1"), {}),
    "simom1_mt5/XAUUSD_D1.older.csv.gz": (text("D1", NEW_YORK_SERVER), {}),
    "simom1_mt5/XAUUSD_W1.older.csv.gz": (text("W1", NEW_YORK_SERVER), {}),
    "simom1_mt5/EURUSD_D1.older.csv.gz": (text("D1", NEW_YORK_SERVER), {}),
    "simom1_mt5/USDJPY_D1.older.csv.gz": (text("D1", NEW_YORK_SERVER), {}),
    "ejtrader_mt5/XAUUSDh1.older.csv.gz": (points("H1", 100), {}),
    "ejtrader_mt5/XAUUSDh4.older.csv.gz": (points("H4", 100), {}),
    "ejtrader_mt5/XAUUSDd1.older.csv.gz": (points("D1", 100), {}),
    "ejtrader_mt5/USDJPYh1.older.csv.gz": (points("H1", 1000), {}),
    "ejtrader_mt5/EURUSDh4.csv.gz": (points("H4", 100_000), {}),
    "ejtrader_mt5/EURUSDd1.csv.gz": (points("D1", 100_000), {}),
    "nautilus_testdata/fxcm_usdjpy-m1-bid-2013.csv.gz": (text("M1"), {}),
    "nautilus_testdata/fxcm_usdjpy-m1-ask-2013.csv.gz": (text("M1"), {}),
    "nautilus_testdata/truefx_usdjpy-ticks.csv": (quotes(), {}),
    "nautilus_testdata/quote_tick_data.csv": (quotes(NEW_YORK), {}),
    "nautilus_testdata/audusd_quote_ticks_part-0.parquet": (parquet(timezone="UTC"), {}),
    "backtestingpy/GOOG.csv": (text("D1", NEW_YORK), {}),
    "backtestingpy/EURUSD.csv": (text("H1"), {}),
    "mt5_native_budimanlai/XAUUSD_M15.csv": (text("M15", EUROPE_SERVER), {}),
    "mt5_native_budimanlai/XAUUSD_M5.older.csv.gz": (text("M5", EUROPE_SERVER), {}),
    "mt5_native_budimanlai/XAUUSD_H4.csv": (text("H4", EUROPE_SERVER), {}),
    "mt5_native_rupamsaha/XAUUSD_M5.csv": (text("M5", EUROPE_SERVER), {}),
    "mt4_noheader_ananiasdave/XAUUSD15.older.csv.gz": (text("M15", EUROPE_SERVER), {}),
    "mt4_noheader_ananiasdave/XAUUSD60.older.csv.gz": (text("H1", EUROPE_SERVER), {}),
    "mt5_csv_variants/abbasi_XAUUSD_M5_symbolcol.csv.gz": (text("M5", "Europe/London"), {}),
    "mt5_csv_variants/javier_EURUSD_M1.csv": (text("M1", EUROPE_SERVER), {}),
    "mt5_csv_variants/javier_XAUUSD_H4.csv.gz": (text("H4", EUROPE_SERVER), {}),
    "mt5_csv_variants/justus_XAUUSD_M5_extracol.csv": (text("M5", "UTC+3"), {}),
    "mt5_csv_variants/kompmajster_XAUUSD_M5_dupcol.csv.gz": (text("M5", "UTC+2"), {}),
    "mt5_csv_variants/vykosis_XAUUSD_H1_3dp.csv.gz": (text("H1", "UTC-5"), {}),
    "web_export_variants/kku_XAUUSD_close_dmy_or_mdy_crlf.csv": (text("D1", **CLOSES), {}),
    "web_export_variants/investingcom_XAUUSD_D1_bom_quoted_desc.csv": (text("D1"), {}),
    "web_export_variants/mt4_noheader_XAUUSD_D1_1998.csv.gz": (text("D1", EUROPE_SERVER), {}),
    "indicator_goldens/stockindicators_quotes_default.csv": (text("D1"), {}),
    # Made to be wrong.
    "indicator_goldens/stockindicators_quotes_bad.csv": (
        text("D1"),
        {"unreadable": 101, "not_positive": 55, "broken_ohlc": 9},
    ),
    "indicator_goldens/stockindicators_quotes_mismatch.csv": (text("D1"), {"backward": 464}),
    "indicator_goldens/stockindicators_quotes_toobig.csv.gz": (text("D1"), {"not_finite": 268}),
}

#: What holds no market data, or not what its name says, and the words it is refused with.
REFUSED: dict[str, tuple[tuple[type[Feed], dict[str, Any]], str]] = {
    "simom1_mt5/XAUUSD_H1.older.csv.gz": (
        text("H1"),
        'has bars D1 apart, and timeframe says H1; write timeframe = "D1"',
    ),
    "simom1_mt5/XAUUSD_H4.older.csv.gz": (
        text("H4"),
        'has bars D1 apart, and timeframe says H4; write timeframe = "D1"',
    ),
    "nautilus_testdata/short-term-interest.csv.gz": (
        text("D1"),
        'has no column for "open"; it has: LOCATION, INDICATOR',
    ),
    "perf_goldens/ffn_test_data.csv": (text("D1"), 'has no column for "open"; it has: Date, AAPL, MSFT, C'),
    "perf_goldens/pyfolio_test_returns.csv.gz": (
        text("D1"),
        "has no header and 2 columns; name them with header",
    ),
    "perf_goldens/empyrical_returns.csv": (text("D1"), "has no header and 2 columns; name them with header"),
    **{
        f"indicator_goldens/stockcharts_cs-{name}.csv": (
            text("D1"),
            'has no column for "open"; it has: Date, ',
        )
        for name in ("atr", "bbands", "kama", "macd", "obv", "rsi")
    },
}

#: Folders are listed by the number of their files, not of their rows.
FOLDERS = {"dukascopy_bi5/GBPJPY/** (17 files)", "dukascopy_bi5/EURUSD/** (3 files)"}


def listed() -> dict[str, int]:
    """The files of SOURCES.md and how many rows each has; 0 where it says nothing."""
    if not (path := SHARED / "data" / "SOURCES.md").exists():
        return {}
    section = path.read_text().partition("## Files")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    return {row[0].strip(): int(row[2]) if row[2].strip() else 0 for row in rows if row[0].strip() != "file"}


def made(name: str, of: tuple[type[Feed], dict[str, Any]], **more: Any) -> Feed:
    kind, settings = of
    return kind(instrument="IT", path=shared(f"data/{name}"), **settings, **more)


def stream(feed: Feed, defects: list[Defect]) -> Any:
    feed.startup(INSTRUMENTS)
    if isinstance(feed, Ticks):
        return feed.stream_market(defects.append)
    return feed.stream_market(INSTRUMENTS, defects.append)


def test_each_file_that_is_listed_is_read_or_refused_here():
    shared("data/SOURCES.md")

    assert set(listed()) == {*READ, *REFUSED, *FOLDERS}


@pytest.mark.parametrize("name", READ)
def test_it_reads_every_row_of(name):
    how, rejected = READ[name]
    feed, defects = made(name, how), []  # type: tuple[Feed, list[Defect]]

    if rows_by_metadata := _rows_of_parquet(name):
        read = len(list(islice(stream(feed, defects), ENOUGH)))
        assert (listed()[name], ENOUGH) == (rows_by_metadata, read)
    else:
        read = sum(1 for _ in stream(feed, defects))
        assert listed()[name] == read + len(defects)
    assert rejected == Counter(defect.kind for defect in defects)


def _rows_of_parquet(name: str) -> int:
    """How many rows a year of minutes has; 0 for what is read as a whole."""
    if "XAUUSD_M1_201" not in name:
        return 0
    from pyarrow.parquet import ParquetFile

    return int(ParquetFile(shared(f"data/{name}")).metadata.num_rows)


@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses(name):
    how, reason = REFUSED[name]

    with pytest.raises(UnusableData, match=re.escape(f"{Path(name).name} {reason}")):
        stream(made(name, how), [])


@pytest.mark.parametrize(
    ("folder", "settings", "files", "records"),
    [
        ("GBPJPY", {"scale": Decimal(1000)}, 17, 46_660),
        ("EURUSD", {"scale": Decimal(100_000), "kind": "ticks"}, 1, 3_733),
        ("EURUSD", {"scale": Decimal(100_000), "kind": "BID_candles_min_1"}, 1, 1_440),
        ("EURUSD", {"scale": Decimal(100_000), "kind": "BID_candles_hour_1"}, 1, 672),
    ],
)
def test_it_reads_every_record_of_the_folder(folder, settings, files, records):
    feed = made(f"dukascopy_bi5/{folder}", (Dukascopy, settings))
    defects: list[Defect] = []

    assert records == sum(1 for _ in stream(feed, defects))
    assert [] == defects
    assert f"file: {files} in" in feed.describe_source()[0]


def test_bids_and_asks_of_two_files_are_one_market():
    """FXCM's bars cross at 682 opens, by up to a few points; those are not traded on."""
    asks = shared("data/nautilus_testdata/fxcm_usdjpy-m1-ask-2013.csv.gz")
    feed = made("nautilus_testdata/fxcm_usdjpy-m1-bid-2013.csv.gz", text("M1"), ask_path=asks)
    defects: list[Defect] = []

    bars: list[Market] = list(stream(feed, defects))

    assert 28_761 - 682 == len(bars)
    crossed = [each for each in defects if each.reason.startswith("spread is -0.0")]
    assert {("not_positive", "spread is -0.001")} < {(each.kind, each.reason) for each in crossed}
    # Each costs its line in both files.
    assert 2 * 682 == 2 * len(crossed) == len(defects)
    # The first line: 91.717 - 91.715.
    assert 0.002 == bars[0].spread  # type: ignore[union-attr]
