"""The feed `dukascopy` on any bytes: the first chooses the kind, the rest are its file, or its records."""

from __future__ import annotations

import lzma
import struct
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path

from nicegold_plugins.feeds.dukascopy import Dukascopy
from tests.fuzz.law import OPEN_ALWAYS, OPEN_AS_GOLD, SYMBOL, check_numbers, outcome_of

#: Where a file of each kind lies, and how many bytes a record has.
_KINDS = (
    ("2020/04/01/00h_ticks.bi5", 20),
    ("2020/04/01/BID_candles_min_1.bi5", 24),
    ("2020/04/BID_candles_hour_1.bi5", 24),
    ("2020/BID_candles_day_1.bi5", 24),
)
#: What the bit of the first byte above the kind says.
_GOLD_HOURS = 1 << 2
#: What a file in the form that Dukascopy uses begins with; with it, no record is of an hour.
_PACKED = b"]"


def seeds() -> Iterator[bytes]:
    """Records of each kind, as they are and packed."""
    ticks = b"".join(struct.pack(">IIIff", 65 + n, 168_775 + n, 168_750 + n, 3.0, 1.5) for n in range(5))
    candles = b"".join(
        struct.pack(">IIIIIf", 86_400 * n, 168_750, 168_725, 168_700, 168_800, float(n)) for n in range(5)
    )
    for number in range(8):
        records = candles if number % 4 else ticks
        yield bytes([number]) + records
        yield bytes([number]) + lzma.compress(records, lzma.FORMAT_ALONE)


def check(content: bytes, folder: Path) -> None:
    """Raise AssertionError if the law is broken by the file that *content* says; it is put into *folder*."""
    flags, rest = (content[0] if content else 0), content[1:]
    name, size = _KINDS[flags % len(_KINDS)]
    packed = rest if rest.startswith(_PACKED) or not rest else lzma.compress(rest, lzma.FORMAT_ALONE)
    path = folder / SYMBOL / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed)
    feed = Dukascopy(instrument=SYMBOL, path=path, scale=Decimal(100))
    instruments = OPEN_AS_GOLD if flags & _GOLD_HOURS else OPEN_ALWAYS
    outcome = outcome_of(feed, partial(feed.stream_market, instruments), instruments)
    if outcome.refused:
        assert outcome.refused.startswith(path.name), outcome.refused
        return
    check_numbers(outcome, range(1, len(lzma.decompress(packed)) // size + 1))
