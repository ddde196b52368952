from __future__ import annotations

import json
import lzma
import re
import struct
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import SECOND, Bar, Defect, Instrument, Market, Quote, Sessions, UnusableData
from nicegold.testing import check_conformance
from nicegold_plugins.feeds.dukascopy import Dukascopy
from tests.shared import shared

GOLD = Instrument(symbol="XAUUSD", tick_size=Decimal("0.01"))
DAY = "XAUUSD/2020/04/01"
TICKS = f"{DAY}/00h_ticks.bi5"
MINUTES = f"{DAY}/BID_candles_min_1.bi5"


def ns(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(moment.timestamp()) * SECOND + moment.microsecond * 1000


def feed(path: Path, **settings: Any) -> Dukascopy:
    settled: dict[str, Any] = {"instrument": "XAUUSD", "path": path, "scale": Decimal(1000)}
    return Dukascopy(**(settled | settings))


def ticks(*records: tuple[float, ...]) -> bytes:
    """Records of ms, ask, bid, size of the ask and of the bid."""
    return b"".join(struct.pack(">IIIff", *record) for record in records)


def candles(*records: tuple[float, ...]) -> bytes:
    """Records of seconds, open, close, low, high and volume."""
    return b"".join(struct.pack(">IIIIIf", *record) for record in records)


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress(content, lzma.FORMAT_ALONE) if content else b"")
    return path


def read(feed: Dukascopy, instrument: Instrument = GOLD) -> tuple[list[Market], list[Defect]]:
    defects: list[Defect] = []
    feed.startup({"XAUUSD": instrument})
    return list(feed.stream_market({"XAUUSD": instrument}, defects.append)), defects


TICK = (65, 1687_750, 1687_500, 3.0, 1.5)
CANDLE = (0, 1687_500, 1687_250, 1687_000, 1688_000, 12.0)


def test_a_tick_is_a_quote(tmp_path):
    quotes, defects = read(feed(written(tmp_path, TICKS, ticks(TICK))))

    assert [Quote("XAUUSD", ns("2020-05-01 00:00:00.065"), 1687.5, 1687.75, 1.5, 3.0)] == quotes
    assert [] == defects


@pytest.mark.parametrize(
    ("name", "begins", "until"),
    [
        (MINUTES, "2020-05-01 00:00", "2020-05-01 00:01"),
        ("XAUUSD/2020/11/31/BID_candles_min_1.bi5", "2020-12-31 00:00", "2020-12-31 00:01"),
        ("XAUUSD/2020/04/BID_candles_hour_1.bi5", "2020-05-01 00:00", "2020-05-01 01:00"),
        ("XAUUSD/2020/BID_candles_day_1.bi5", "2020-01-01 00:00", "2020-01-02 00:00"),
    ],
)
def test_a_candle_is_a_bar_of_the_length_that_its_file_is_called_by(name, begins, until, tmp_path):
    bars, defects = read(feed(written(tmp_path, name, candles(CANDLE))))

    assert [Bar("XAUUSD", ns(begins), ns(until), 1687.5, 1688.0, 1687.0, 1687.25, 12.0)] == bars
    assert [] == defects


def test_the_hour_is_in_the_name(tmp_path):
    quotes, _ = read(feed(written(tmp_path, f"{DAY}/23h_ticks.bi5", ticks(TICK))))

    assert ns("2020-05-01 23:00:00.065") == quotes[0].time


def test_a_folder_is_read_in_the_order_of_time_and_hours_without_ticks_are_none(tmp_path):
    for name in ("2019/11/31/23h", "2020/00/01/00h", "2020/00/01/10h", "2020/01/01/02h"):
        written(tmp_path, f"XAUUSD/{name}_ticks.bi5", ticks(TICK))
    written(tmp_path, "XAUUSD/2020/00/01/05h_ticks.bi5", b"")
    reader = feed(tmp_path / "XAUUSD")

    quotes, defects = read(reader)

    expected = ["2019-12-31 23:00", "2020-01-01 00:00", "2020-01-01 10:00", "2020-02-01 02:00"]
    assert [ns(f"{hour}:00.065") for hour in expected] == [each.time for each in quotes]
    assert [] == defects
    assert [
        "file: 5 in Dukascopy's bi5 with ticks",
        "times: UTC, the first from 2019-12-31 23:00, the last from 2020-02-01 02:00",
        "scale: prices are divided by 1,000",
    ] == reader.describe_source()


def test_of_several_kinds_one_is_declared(tmp_path):
    written(tmp_path, TICKS, ticks(TICK))
    written(tmp_path, MINUTES, candles(CANDLE))

    with pytest.raises(
        UnusableData, match=r"more than one kind: BID_candles_min_1, ticks; say which with kind"
    ):
        feed(tmp_path).startup({"XAUUSD": GOLD})
    assert isinstance(read(feed(tmp_path, kind="BID_candles_min_1"))[0][0], Bar)
    assert isinstance(read(feed(tmp_path, kind="ticks"))[0][0], Quote)


def test_a_file_elsewhere_is_read_where_its_begin_and_kind_are_declared(tmp_path):
    path = written(tmp_path, "gold.bi5", ticks(TICK))

    quotes, _ = read(feed(path, kind="ticks", start="2020-05-01 07:00"))

    assert ns("2020-05-01 07:00:00.065") == quotes[0].time


def test_a_begin_may_be_declared_in_another_clock(tmp_path):
    path = written(tmp_path, "00h_ticks.bi5", ticks(TICK))

    assert ns("2020-05-01 05:00:00.065") == read(feed(path, start="2020-05-01 07:00+02:00"))[0][0].time


@pytest.mark.parametrize(
    ("name", "content", "settings", "reason"),
    [
        ("gold.bi5", ticks(TICK), {}, "gold.bi5 is not called like 00h_ticks.bi5, BID_candles_min_1.bi5"),
        ("00h_ticks.bi5", ticks(TICK), {}, "00h_ticks.bi5 is not in YEAR/MONTH/DAY with months from 00"),
        (
            "2020/12/01/00h_ticks.bi5",
            ticks(TICK),
            {},
            'say when it begins, in UTC, with start = "2012-12-03 00:00"',
        ),
        (
            "20/x/BID_candles_hour_1.bi5",
            candles(CANDLE),
            {},
            "BID_candles_hour_1.bi5 is not in YEAR/MONTH with",
        ),
        (TICKS, b"", {}, "00h_ticks.bi5 has no records"),
        (TICKS, ticks(TICK)[:-3], {}, "has 17 bytes after its last whole record; load it again"),
        (
            MINUTES,
            candles(CANDLE),
            {"kind": "ticks"},
            "is called as one of BID_candles_min_1 is, and kind says",
        ),
        (
            TICKS,
            ticks((0, 0, 0, 1, 1)),
            {},
            "00h_ticks.bi5 has nothing to read in its first lines; line 1: bid is 0.0",
        ),
    ],
)
def test_a_file_that_is_not_understood_is_refused_with_the_way_out(name, content, settings, reason, tmp_path):
    with pytest.raises(UnusableData, match=re.escape(reason)):
        feed(written(tmp_path, name, content), **settings).startup({"XAUUSD": GOLD})


@pytest.mark.parametrize(
    ("names", "settings", "reason"),
    [
        ((), {}, "gold has no file that is called like 00h_ticks.bi5"),
        (("2020/00/01/ASK_candles_min_1.bi5",), {}, "gold has no file that is called like 00h_ticks.bi5"),
        (("2020/00/01/00h_ticks.bi5",), {"start": "2020-01-01"}, "gold is a folder, and start can only say"),
        (
            ("XAU/2020/00/01/00h_ticks.bi5", "XAG/2020/00/01/00h_ticks.bi5"),
            {},
            "gold has files of more than one symbol: XAG, XAU; name the folder of one",
        ),
    ],
)
def test_a_folder_that_is_not_understood_is_refused(names, settings, reason, tmp_path):
    (tmp_path / "gold").mkdir()
    for name in names:
        written(tmp_path / "gold", name, ticks(TICK))

    with pytest.raises(UnusableData, match=re.escape(reason)):
        feed(tmp_path / "gold", **settings).startup({"XAUUSD": GOLD})


def test_what_is_no_lzma_is_refused(tmp_path):
    path = written(tmp_path, TICKS, b"")
    path.write_bytes(b"<html>Not found</html>")

    with pytest.raises(UnusableData, match=r"00h_ticks\.bi5 cannot be read: Input format not supported"):
        feed(path).startup({"XAUUSD": GOLD})


def test_a_file_that_asks_for_all_memory_is_refused(tmp_path):
    path = written(tmp_path, TICKS, ticks(TICK))
    content = bytearray(path.read_bytes())
    content[1:5] = b"\xff\xff\xff\xff"  # the size of what must be remembered to unpack it
    path.write_bytes(content)

    with pytest.raises(UnusableData, match=r"00h_ticks\.bi5 cannot be read: Memory usage limit exceeded"):
        feed(path).startup({"XAUUSD": GOLD})


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"scale": Decimal(0)}, "scale must be above 0: it is 0"),
        ({"kind": "ASK_candles_min_1"}, 'kind is "ASK_candles_min_1"; there are ticks, BID_candles_min_1'),
        ({"start": "noon"}, 'start is "noon"; write a time in UTC, such as "2012-12-03 00:00"'),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, reason, tmp_path):
    with pytest.raises(ValueError, match=re.escape(reason)):
        feed(tmp_path, **settings)


def test_a_record_that_cannot_be_right_is_rejected_with_its_number(tmp_path):
    records = [
        TICK,
        (70, 5, 6, 1.0, 1.0),
        (3_600_000, 6, 5, 1.0, 1.0),
        (80, 6, 5, float("nan"), 1.0),
        (60, 6, 5, 1, 1),
    ]

    quotes, defects = read(feed(written(tmp_path, TICKS, ticks(*records))))

    shown = "00h_ticks.bi5 from 2020-05-01 00:00: "
    assert 1 == len(quotes)
    assert [
        Defect("crossed", 2, "bid 0.006 is above ask 0.005", f"{shown}70, 5, 6, 1.0, 1.0"),
        Defect(
            "unreadable",
            3,
            "it is of 3600 s after its file begins, which ends before",
            f"{shown}3600000, 6, 5, 1.0, 1.0",
        ),
        Defect("not_finite", 4, "ask_size is nan", f"{shown}80, 6, 5, nan, 1.0"),
        Defect("backward", 5, "its time is before that of line 1", f"{shown}60, 6, 5, 1.0, 1.0"),
    ] == defects


def test_the_flat_bars_of_a_closed_market_are_judged(tmp_path):
    # 1 May 2020 is a Friday; gold closes at 21:00 UTC.
    flat = (22 * 3600, 1687_000, 1687_000, 1687_000, 1687_000, 0.0)
    path = written(tmp_path, MINUTES, candles(CANDLE, flat))
    gold = Instrument(symbol="XAUUSD", tick_size=Decimal("0.01"), sessions=Sessions.parse("gold"))

    assert ["closed_market"] == [each.kind for each in read(feed(path), gold)[1]]
    assert [] == read(feed(path))[1]


def test_its_source_is_each_file_and_changes_with_it(tmp_path):
    written(tmp_path, TICKS, ticks(TICK))
    before = feed(tmp_path).source()

    written(tmp_path, f"{DAY}/01h_ticks.bi5", ticks(TICK))

    assert str(tmp_path) == before.location
    assert before.digest != feed(tmp_path).source().digest


def test_conformance(tmp_path):
    path = written(tmp_path, TICKS, ticks(*((number * 100, 6, 5, 1.0, 1.0) for number in range(100))))

    check_conformance(lambda: feed(path))


@given(content=st.binary(max_size=100), records=st.integers(0, 5))
def test_no_record_is_lost(content, records, tmp_path_factory):
    whole = ticks(TICK) + (content * 20)[: records * 20]
    path = written(tmp_path_factory.getbasetemp(), TICKS, whole)

    quotes, defects = read(feed(path))

    assert len(whole) // 20 == len(quotes) + len(defects)


# Published values.


def published() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads(shared("data/golden/dukascopy_bi5_a.json").read_text())["cases"]
    return cases


def test_the_ticks_are_those_that_another_reader_publishes():
    case = published()[0]

    quotes, defects = read(feed(shared(f"data/{case['file']}"), scale=Decimal(100_000)))

    assert [] == defects
    assert case["ticks"] == len(quotes)
    for name, seen in zip(("first", "second", "third"), quotes, strict=False):
        assert isinstance(seen, Quote)
        expected = case[name]
        assert (ns(expected["time"][:-1]), expected["bid"], expected["ask"]) == (
            seen.time,
            seen.bid,
            seen.ask,
        )
        # Volumes are stored with 24 bits.
        assert pytest.approx((expected["bid_volume"], expected["ask_volume"]), rel=1e-7) == (
            seen.bid_size,
            seen.ask_size,
        )


def test_the_candles_are_those_that_another_reader_publishes():
    case = published()[1]

    bars, defects = read(feed(shared(f"data/{case['file']}"), scale=Decimal(100_000)))

    assert [] == defects
    assert case["bars"] == len(bars)
    assert ns(case["first"]["time"][:-1]) + 60 * SECOND == bars[0].time
    for name, seen in zip(("first", "second"), bars, strict=False):
        assert isinstance(seen, Bar)
        expected = [case[name][field] for field in ("open", "high", "low", "close")]
        assert expected == [seen.open, seen.high, seen.low, seen.close]
        assert pytest.approx(case[name]["volume"], rel=1e-7) == seen.volume
