from __future__ import annotations

import re
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import SECOND, Bar, Defect, Instrument, UnusableData
from nicegold.testing import MINUTE, check_conformance
from nicegold_plugins.feeds.parquet import Parquet
from tests.shared import shared

arrow = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")

INSTRUMENTS = {"XAUUSD": Instrument(symbol="XAUUSD", tick_size=Decimal("0.01"))}
MIDNIGHT = datetime(2020, 5, 1)
SECONDS = int(MIDNIGHT.replace(tzinfo=UTC).timestamp())
PRICES = {"open": [1687.5], "high": [1688.0], "low": [1687.0], "close": [1687.25]}
OHLC = (1687.5, 1688.0, 1687.0, 1687.25)


def feed(path: Path, **settings: Any) -> Parquet:
    given: dict[str, Any] = {"instrument": "XAUUSD", "timezone": "UTC", "timeframe": "M1", "path": path}
    return Parquet(**(given | settings))


def written(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    path = folder / "bars.parquet"
    parquet.write_table(arrow.table(columns), path, **options)
    return path


def read(feed: Parquet) -> tuple[list[Bar], list[Defect]]:
    defects: list[Defect] = []
    feed.startup(INSTRUMENTS)
    stream = feed.stream_market(INSTRUMENTS, defects.append)
    return [bar for bar in stream if isinstance(bar, Bar)], defects


def bar(*values: float, start: int = SECONDS * SECOND, length: int = MINUTE) -> Bar:
    return Bar("XAUUSD", start, start + length, *values)


def array(values: list[Any], kind: Any) -> Any:
    return arrow.array(values, kind)


@pytest.mark.parametrize(
    "times",
    [
        array([MIDNIGHT], arrow.timestamp("s")),
        array([MIDNIGHT], arrow.timestamp("ms")),
        array([MIDNIGHT], arrow.timestamp("us")),
        array([MIDNIGHT], arrow.timestamp("ns")),
        array([MIDNIGHT], arrow.timestamp("us", "UTC")),
        array([date(2020, 5, 1)], arrow.date32()),
        array([date(2020, 5, 1)], arrow.date64()),
        array([SECONDS], arrow.int32()),
        array([SECONDS * 1000], arrow.int64()),
        array([SECONDS * 10**6], arrow.int64()),
        array([SECONDS * 10**9], arrow.uint64()),
    ],
    ids=str,
)
def test_times_may_be_stamps_dates_or_counts_since_1970(times, tmp_path):
    bars, defects = read(feed(written(tmp_path, {"time": times, **PRICES})))

    assert [] == defects
    assert [bar(*OHLC)] == bars


def test_times_are_what_the_clock_showed(tmp_path):
    path = written(tmp_path, {"time": array([MIDNIGHT], arrow.timestamp("ms")), **PRICES})

    bars, _ = read(feed(path, timezone="America/New_York"))

    assert [(SECONDS + 4 * 3600) * SECOND] == [bar.start for bar in bars]


def test_a_name_may_say_the_power_of_ten_that_its_prices_are_multiplied_with(tmp_path):
    scaled = {f"{name}_e3": array([int(values[0] * 1000)], arrow.int32()) for name, values in PRICES.items()}

    bars, _ = read(feed(written(tmp_path, {"time": [MIDNIGHT], **scaled})))

    assert [bar(*OHLC)] == bars


def test_a_scale_is_for_prices_and_not_for_volumes(tmp_path):
    scaled = {name: array([int(values[0] * 100)], arrow.int64()) for name, values in PRICES.items()}

    path = written(tmp_path, {"time": [MIDNIGHT], **scaled, "tick_volume": [124]})
    bars, _ = read(feed(path, scale=Decimal(100)))

    assert [bar(*OHLC, 124.0)] == bars


@pytest.mark.parametrize(
    ("extra", "settings", "volume", "spread"),
    [
        ({"Volume": [1.5]}, {}, 1.5, 0.0),
        ({"spread": [35]}, {}, 0.0, 0.35),
        ({"VOL": [7], "Spread": [0.25]}, {"spread_in": "price"}, 7.0, 0.25),
    ],
)
def test_volume_and_spread_are_read_where_they_are(extra, settings, volume, spread, tmp_path):
    bars, _ = read(feed(written(tmp_path, {"time": [MIDNIGHT], **PRICES, **extra}), **settings))

    assert [bar(*OHLC, volume, spread)] == bars


def test_columns_may_be_declared(tmp_path):
    columns = {"when": [MIDNIGHT], "o": [1687.5], "h": [1688.0], "l": [1687.0], "mid": [1687.25], "c": ["x"]}

    bars, _ = read(feed(written(tmp_path, columns), columns={"time": "when", "close": "mid"}))

    assert [bar(*OHLC)] == bars


def test_decimals_are_numbers(tmp_path):
    decimals = {name: [Decimal(str(values[0]))] for name, values in PRICES.items()}

    bars, _ = read(feed(written(tmp_path, {"time": [MIDNIGHT], **decimals})))

    assert [bar(*OHLC)] == bars


def test_a_row_that_cannot_be_right_is_rejected_with_its_number(tmp_path):
    minutes = [0, 1, None, 3, 3, 2, 4, 5]
    times = [None if minute is None else MIDNIGHT.replace(minute=minute) for minute in minutes]
    opened = [1.5, float("nan"), 1.5, 1.5, 1.5, 1.5, None, 1.5]
    high = [2.0, 2.0, 2.0, 1.0, 2.0, 2.0, 2.0, float("inf")]
    columns = {"time": times, "open": opened, "high": high, "low": [1.0] * 8, "close": [1.5] * 8}

    bars, defects = read(feed(written(tmp_path, columns)))

    assert [1.5, 1.5] == [bar.open for bar in bars]
    assert [
        Defect("not_finite", 2, "open is nan", "2020-05-01 00:01, nan, 2.0, 1.0, 1.5"),
        Defect("unreadable", 3, "its time is missing", "missing, 1.5, 2.0, 1.0, 1.5"),
        Defect(
            "broken_ohlc",
            4,
            "open 1.5 is not between low 1.0 and high 1.0",
            "2020-05-01 00:03, 1.5, 1.0, 1.0, 1.5",
        ),
        Defect("backward", 6, "its time is before that of line 5", "2020-05-01 00:02, 1.5, 2.0, 1.0, 1.5"),
        Defect("not_finite", 7, "open is nan", "2020-05-01 00:04, nan, 2.0, 1.0, 1.5"),
        Defect("not_finite", 8, "high is inf", "2020-05-01 00:05, 1.5, inf, 1.0, 1.5"),
    ] == defects


@pytest.mark.parametrize(
    ("columns", "settings", "reason"),
    [
        (
            {"time": [MIDNIGHT], "close": [1.0]},
            {},
            'bars.parquet has no column for "open"; it has: time, close',
        ),
        (PRICES, {}, 'bars.parquet has no column for "time"'),
        ({"time": ["2020-05-01"], **PRICES}, {}, 'bars.parquet has string in "time", not times'),
        ({"time": [MIDNIGHT], **PRICES, "low": ["1"]}, {}, 'has string in "low", not numbers'),
        (
            {"time": array([MIDNIGHT], arrow.timestamp("s", "Europe/Paris")), **PRICES},
            {},
            'has times labelled Europe/Paris in "time", so they are stored in UTC',
        ),
        (
            {"time": [MIDNIGHT], **PRICES},
            {"columns": {"close": "last"}},
            'bars.parquet has no column "last" for close',
        ),
        (
            {
                "time": array([], arrow.timestamp("s")),
                **{name: array([], arrow.float64()) for name in PRICES},
            },
            {},
            "bars.parquet has no rows",
        ),
        (
            {"time": [MIDNIGHT], **PRICES, "close": [float("nan")]},
            {},
            "bars.parquet has nothing to read in its first lines; line 1: close is nan",
        ),
        (
            {"time": [MIDNIGHT, MIDNIGHT.replace(minute=1)], **{name: [1.0, 1.0] for name in PRICES}},
            {"timeframe": "M15"},
            "bars.parquet has bars M1 apart, and timeframe says M15",
        ),
    ],
)
def test_a_file_that_is_not_understood_is_refused_with_the_way_out(columns, settings, reason, tmp_path):
    with pytest.raises(UnusableData, match=re.escape(reason)):
        feed(written(tmp_path, columns), **settings).startup(INSTRUMENTS)


def test_a_name_that_comes_twice_is_refused(tmp_path):
    names = ["time", "open", "high", "low", "close", "close"]
    values = [array([MIDNIGHT], arrow.timestamp("s")), *([array([1.0], arrow.float64())] * 5)]
    parquet.write_table(arrow.Table.from_arrays(values, names), tmp_path / "bars.parquet")

    with pytest.raises(UnusableData, match='has two columns "close"; write it with one'):
        feed(tmp_path / "bars.parquet").startup(INSTRUMENTS)


def test_a_file_that_is_not_there_is_looked_for_in_vain(tmp_path):
    with pytest.raises(UnusableData, match=rf"there is no file gold\.parquet \(looked in {tmp_path}\)"):
        feed(tmp_path / "gold.parquet").startup(INSTRUMENTS)


@pytest.mark.parametrize("content", [b"", b"time,open\n", b"PAR1" * 8])
def test_what_is_no_parquet_is_refused(content, tmp_path):
    (tmp_path / "bars.parquet").write_bytes(content)

    with pytest.raises(UnusableData, match=r"bars\.parquet is not Parquet that can be read"):
        feed(tmp_path / "bars.parquet").startup(INSTRUMENTS)


def test_a_page_that_is_damaged_is_said_on_the_way(tmp_path):
    times = array([SECONDS + 60 * number for number in range(40_000)], arrow.int64())
    path = written(
        tmp_path, {"time": times, **{name: [1.5] * 40_000 for name in PRICES}}, row_group_size=20_000
    )
    whole = feed(path)
    whole.startup(INSTRUMENTS)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 5000] = bytes(5000)
    path.write_bytes(content)

    with pytest.raises(UnusableData, match=r"bars\.parquet cannot be read to its end"):
        list(whole.stream_market(INSTRUMENTS, print))


def test_without_its_extra_it_says_what_to_install(tmp_path, monkeypatch):
    path = written(tmp_path, {"time": [MIDNIGHT], **PRICES})
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    with pytest.raises(ImportError, match=re.escape('pip install "nicegold[parquet]"')):
        feed(path).startup(INSTRUMENTS)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"columns": {"bid": "Bid"}}, 'columns has "bid"; it may name time, open'),
        ({"scale": Decimal(0)}, "scale must be above 0: it is 0"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, reason, tmp_path):
    with pytest.raises(ValueError, match=re.escape(reason)):
        feed(tmp_path, **settings)


def test_batches_are_one_stream_and_the_same_bars_come_again(tmp_path):
    count = 40_000
    times = array([SECONDS + 60 * number for number in range(count)], arrow.int64())
    path = written(tmp_path, {"time": times, **{name: [1.5] * count for name in PRICES}}, row_group_size=999)
    reader = feed(path)

    once, defects = read(reader)

    assert [] == defects
    assert list(range(count)) == [(bar.start // SECOND - SECONDS) // 60 for bar in once]
    assert once == list(reader.stream_market(INSTRUMENTS, print))


def test_conformance(tmp_path):
    path = written(tmp_path, {"time": [MIDNIGHT], **PRICES})

    check_conformance(lambda: feed(path))


def test_its_source_is_the_file(tmp_path):
    path = written(tmp_path, {"time": [MIDNIGHT], **PRICES})

    assert str(path) == feed(path).source().location


NUMBERS = st.none() | st.floats() | st.floats(1.0, 2.0)
TIMES = st.none() | st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(0, 10**6)


@given(
    rows=st.lists(
        st.tuples(TIMES, *4 * (NUMBERS,)),
        max_size=20,
    )
)
def test_no_row_is_lost(rows, tmp_path_factory):
    times, *prices = zip(*[(0, 1.0, 1.0, 1.0, 1.0), *rows], strict=True)
    columns = {"time": array(list(times), arrow.int64())} | {
        name: array(list(values), arrow.float64()) for name, values in zip(PRICES, prices, strict=True)
    }
    path = written(tmp_path_factory.getbasetemp(), columns)

    try:
        bars, defects = read(feed(path, timeframe="S1"))
    except UnusableData:
        return

    assert 1 + len(rows) == len(bars) + len(defects)
    assert all(bar.is_sound for bar in bars)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("XAUUSD_M1_2010", 346_196),
        ("XAUUSD_M1_2011", 352_266),
        ("XAUUSD_M1_2012", 354_797),
        ("XAUUSD_M1_2013", 355_160),
        ("XAUUSD_M1_2014", 351_606),
        ("XAUUSD_M1_2015", 351_666),
        ("XAUUSD_M1_2016", 353_415),
        ("XAUUSD_M1_2017", 352_360),
        ("USDCAD_M1_2014", 358_110),
    ],
)
def test_it_reads_every_row_of(name, rows):
    defects: list[Defect] = []
    reader = feed(shared(f"data/histdata_m1/{name}.parquet"), timezone="America/New_York")
    reader.startup(INSTRUMENTS)

    count = sum(1 for _ in reader.stream_market(INSTRUMENTS, defects.append))

    assert [] == defects
    assert rows == count
