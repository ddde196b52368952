"""The feed `parquet` on any bytes: the first three choose its settings and the types of its columns.

The rest are its file, if they begin like one, or else the bits of its columns.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as arrow
from pyarrow import parquet

from nicegold_plugins.feeds.parquet import Parquet
from tests.fuzz.law import OPEN_ALWAYS, OPEN_AS_GOLD, SYMBOL, check_numbers, outcome_of

#: What the bits of the first byte say.
_QUOTES, _NEW_YORK, _GOLD_HOURS, _SPREAD, _POWER, _NAUTILUS, _NULLS = (1 << bit for bit in range(7))
_TIMES = (
    *(arrow.timestamp(unit) for unit in ("s", "ms", "us", "ns")),
    *(
        arrow.timestamp("us", "UTC"),
        arrow.timestamp("ms", "America/New_York"),
        arrow.timestamp("ns", "+02:00"),
    ),
    *(arrow.date32(), arrow.date64(), arrow.int64(), arrow.int32(), arrow.uint64(), arrow.uint8()),
    *(arrow.duration("s"), arrow.time64("ns"), arrow.float64()),
)
_NUMBERS = (
    *(arrow.float64(), arrow.float32(), arrow.float16(), arrow.int64(), arrow.uint64(), arrow.int16()),
    *(arrow.decimal128(18, 4), arrow.decimal256(60, 9), arrow.timestamp("s"), arrow.binary(8)),
)
_MAGIC = b"PAR1"
_SECOND_OF_MAY = 1_588_291_200


def seeds() -> Iterator[bytes]:
    """Some bars and quotes, as bits and as files."""
    times = [_SECOND_OF_MAY + 60 * number for number in range(6)]
    prices = [1687.0 + number for number in range(6)]
    for flags in (0, _SPREAD, _QUOTES, _QUOTES | _SPREAD, _NEW_YORK | _GOLD_HOURS, _NULLS):
        numbers = prices * (len(_names(flags)) - 1)
        content = struct.pack(f"<6q{len(numbers)}d", *times, *numbers)
        yield bytes([flags, 0, 0]) + content
        yield bytes([flags, 0, 0]) + _as_file(_table(flags, 0, 0, content))
    for kind in range(len(_TIMES)):
        yield bytes([0, kind, kind % len(_NUMBERS)]) + bytes(range(200))


def check(content: bytes, folder: Path) -> None:
    """Raise AssertionError if the law is broken by the file that *content* says; it is put into *folder*."""
    flags, time, number = (*content[:3], 0, 0, 0)[:3]
    rest = content[3:]
    path = folder / "bars.parquet"
    try:
        path.write_bytes(rest if rest.startswith(_MAGIC) else _as_file(_table(flags, time, number, rest)))
    except arrow.ArrowException:
        return  # there is no such file: a time that Parquet has no room for
    feed = Parquet(
        instrument=SYMBOL,
        path=path,
        timezone="America/New_York" if flags & _NEW_YORK else "UTC",
        timeframe="" if flags & _QUOTES else "M1",
    )
    instruments = OPEN_AS_GOLD if flags & _GOLD_HOURS else OPEN_ALWAYS
    outcome = outcome_of(feed, partial(feed.stream_market, instruments), instruments)
    if outcome.refused:
        assert outcome.refused.startswith("bars.parquet "), outcome.refused
        return
    check_numbers(outcome, range(1, parquet.ParquetFile(path).metadata.num_rows + 1))


def _table(flags: int, time: int, number: int, content: bytes) -> Any:
    """A table with the bits of *content*, column after column."""
    names = _names(flags)
    kinds = [_TIMES[time % len(_TIMES)], *[_NUMBERS[number % len(_NUMBERS)]] * (len(names) - 1)]
    rows = len(content) * 8 // sum(kind.bit_width for kind in kinds)
    columns, begin = [], 0
    for kind in kinds:
        end = begin + rows * kind.bit_width // 8
        valid = arrow.py_buffer(content[: -(-rows // 8)]) if flags & _NULLS else None
        columns.append(arrow.Array.from_buffers(kind, rows, [valid, arrow.py_buffer(content[begin:end])]))
        begin = end
    if flags & _POWER:
        names = [names[0], *(f"{name}_e3" for name in names[1:])]
    table = arrow.table(columns, names)
    return table.replace_schema_metadata({"price_precision": "2"}) if flags & _NAUTILUS else table


def _names(flags: int) -> list[str]:
    names = ["time", *(("bid", "ask") if flags & _QUOTES else ("open", "high", "low", "close"))]
    others = ["bid_size", "ask_size"] if flags & _QUOTES else ["volume", "spread"]
    return names + others if flags & _SPREAD else names


def _as_file(table: Any) -> bytes:
    file = arrow.BufferOutputStream()
    parquet.write_table(table, file, row_group_size=4)
    return bytes(file.getvalue())
