from __future__ import annotations

import re
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import SECOND, Bar, Defect, Instrument, Quote, UnusableData
from nicegold.testing import MINUTE, check_conformance
from nicegold_plugins.feeds.parquet import Parquet

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


def quotes_in(feed: Parquet) -> tuple[list[Quote], list[Defect]]:
    defects: list[Defect] = []
    feed.startup(INSTRUMENTS)
    stream = feed.stream_market(INSTRUMENTS, defects.append)
    return [each for each in stream if isinstance(each, Quote)], defects


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


def miscounted(content: bytes) -> bytes:
    """*content* with another number of rows in its footer than in its parts."""
    for place in range(len(content) - 9, 0, -1):
        changed = content[:place] + bytes([content[place] ^ 2]) + content[place + 1 :]
        try:
            metadata = parquet.ParquetFile(arrow.BufferReader(changed)).metadata
        except (OSError, arrow.ArrowException):
            continue
        if metadata.num_rows != sum(
            metadata.row_group(each).num_rows for each in range(metadata.num_row_groups)
        ):
            return changed
    raise AssertionError("no byte of it is the number of rows")


def test_a_file_that_has_not_as_many_rows_as_it_says_is_refused(tmp_path):
    path = written(tmp_path, {"time": array([MIDNIGHT], arrow.timestamp("ms")), **PRICES})
    path.write_bytes(miscounted(path.read_bytes()))

    with pytest.raises(UnusableData, match=r"bars\.parquet is damaged: it says \d+ rows, and \d+ are there"):
        read(feed(path))


def test_a_file_with_its_newest_row_first_is_refused_with_what_turns_it(tmp_path):
    times = array([datetime(2020, 5, 1, 0, minute) for minute in (2, 1, 0)], arrow.timestamp("ms"))
    prices = {name: values * 3 for name, values in PRICES.items()}
    path = written(tmp_path, {"when": times, **prices})

    with pytest.raises(UnusableData) as refused:
        read(feed(path, columns={"time": "when"}))

    way_out = 'has its newest line first; sort it, such as with pyarrow: table.sort_by("when")'
    assert f"bars.parquet {way_out}" == str(refused.value)


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


@pytest.mark.parametrize("label", ["Europe/Paris", "+02:00", "UTC"])
def test_a_label_that_agrees_with_the_clock_is_honoured(label, tmp_path):
    times = array([datetime(2020, 5, 1, tzinfo=UTC)], arrow.timestamp("ms", label))
    clock = {"+02:00": "UTC+2"}.get(label, label)

    bars, _ = read(feed(written(tmp_path, {"time": times, **PRICES}), timezone=clock))

    assert [bar(*OHLC)] == bars


def test_bars_need_a_timeframe(tmp_path):
    with pytest.raises(UnusableData, match='has bars; say how long they are, such as with timeframe = "M1"'):
        feed(written(tmp_path, {"time": [MIDNIGHT], **PRICES}), timeframe="").startup(INSTRUMENTS)


# Quotes.

SIDES = {"bid": [1687.5], "ask": [1687.75]}


@pytest.mark.parametrize(
    ("columns", "settings", "sizes"),
    [
        ({"time": [MIDNIGHT], **SIDES}, {}, ()),
        ({"time": [MIDNIGHT], **SIDES, "bid_size": [1.5], "ask_size": [3]}, {}, (1.5, 3.0)),
        ({"time": [MIDNIGHT], **SIDES, "ask_size": [3]}, {}, (0.0, 3.0)),
        (
            {"ts_event": array([SECONDS * 10**9], arrow.uint64()), "bid_e2": [168750], "ask_e2": [168775]},
            {},
            (),
        ),
        ({"t": [MIDNIGHT], "Bid": [168750], "Ask": [168775]}, {"scale": 100, "columns": {"time": "t"}}, ()),
        ({"time": [MIDNIGHT], **PRICES, **SIDES}, {"kind": "quotes"}, ()),
    ],
)
def test_quotes_are_read_where_there_is_a_bid_and_an_ask(columns, settings, sizes, tmp_path):
    quotes, defects = quotes_in(feed(written(tmp_path, columns), timeframe="", **settings))

    assert [] == defects
    assert [Quote("XAUUSD", SECONDS * SECOND, 1687.5, 1687.75, *sizes)] == quotes


def test_bars_with_a_bid_and_an_ask_are_bars(tmp_path):
    bars, _ = read(feed(written(tmp_path, {"time": [MIDNIGHT], **PRICES, **SIDES})))

    assert [bar(*OHLC)] == bars


def nautilus(folder: Path) -> Path:
    """As nautilus_trader's catalog writes quotes."""
    fixed = array([1687_500_000_000], arrow.int64()), array([1687_750_000_000], arrow.int64())
    sizes = array([2 * 10**9], arrow.uint64()), array([3 * 10**9], arrow.uint64())
    names = ["bid_price", "ask_price", "bid_size", "ask_size", "ts_event", "ts_init"]
    times = [array([SECONDS * 10**9], arrow.uint64())] * 2
    table = arrow.Table.from_arrays([*fixed, *sizes, *times], names)
    parquet.write_table(table.replace_schema_metadata({"price_precision": "2"}), folder / "quotes.parquet")
    return folder / "quotes.parquet"


def test_the_fixed_point_of_nautilus_is_recognised_and_said(tmp_path):
    reader = feed(nautilus(tmp_path), timeframe="")

    quotes, _ = quotes_in(reader)

    assert [Quote("XAUUSD", SECONDS * SECOND, 1687.5, 1687.75, 2.0, 3.0)] == quotes
    assert [
        "file: Parquet with 1 rows of quotes",
        "columns: time is ts_event, bid is bid_price, ask is ask_price, bid_size is bid_size, "
        "ask_size is ask_size",
        "times: uint64",
        *(f"scale: {name} is divided by 1,000,000,000" for name in ("bid", "ask", "bid_size", "ask_size")),
    ] == reader.describe_source()


def test_a_scale_that_is_declared_goes_before_that_of_nautilus(tmp_path):
    quotes, _ = quotes_in(feed(nautilus(tmp_path), timeframe="", scale=Decimal(10**8)))

    assert [(16875.0, 16877.5)] == [(each.bid, each.ask) for each in quotes]


def test_a_quote_that_cannot_be_right_is_rejected_with_its_number(tmp_path):
    columns = {
        "time": [MIDNIGHT, None, MIDNIGHT, MIDNIGHT],
        "bid": [1.0, 1.0, 3.0, float("nan")],
        "ask": [2.0, 2.0, 2.0, 2.0],
    }

    quotes, defects = quotes_in(feed(written(tmp_path, columns), timeframe=""))

    assert 1 == len(quotes)
    assert [
        Defect("unreadable", 2, "its time is missing", "missing, 1.0, 2.0"),
        Defect("crossed", 3, "bid 3.0 is above ask 2.0", "2020-05-01, 3.0, 2.0"),
        Defect("not_finite", 4, "bid is nan", "2020-05-01, nan, 2.0"),
    ] == [msgspec.structs.replace(each, text=each.text.replace(" 00:00", "")) for each in defects]


# Bars again.


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
            'has times labelled Europe/Paris in "time", and timezone says UTC; say timezone = "Europe/Paris"',
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
        ({"columns": {"date": "Day"}}, 'columns has "date"; it may name time, open'),
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
