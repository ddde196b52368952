"""The law that every feed of files keeps, whatever bytes it is given.

What comes in is delivered, rejected or skipped, and nothing but UnusableData is raised.
"""

from __future__ import annotations

import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Protocol

import msgspec

from nicegold import Bar, Defect, Instrument, Market, Reject, Sessions, TextTable, UnusableData

SYMBOL = "XAUUSD"
_GOLD = Instrument(symbol=SYMBOL, tick_size=Decimal("0.01"))
#: An instrument that never closes, and one that has gold's hours.
OPEN_ALWAYS: Mapping[str, Instrument] = {SYMBOL: _GOLD}
OPEN_AS_GOLD: Mapping[str, Instrument] = {
    SYMBOL: msgspec.structs.replace(_GOLD, sessions=Sessions.parse("gold"))
}
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
#: Characters of a line that a defect shows.
_SHOWN = 500
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)


class Feed(Protocol):
    """What all feeds of files have."""

    def startup(self, instruments: Mapping[str, Instrument]) -> None: ...

    def describe_source(self) -> list[str]: ...


class Outcome(msgspec.Struct, frozen=True):
    """What a feed made of a file: events and defects, and why it was refused, if it was."""

    market: list[Market]
    defects: list[Defect]
    refused: str = ""


def outcome_of(
    feed: Feed, stream: Callable[[Reject], Iterable[Market]], instruments: Mapping[str, Instrument]
) -> Outcome:
    """Start *feed*, ask what it recognised, and read it with *stream*: twice, to the same effect."""
    try:
        feed.startup(instruments)
        assert all(feed.describe_source())
    except UnusableData as error:
        return Outcome([], [], str(error) or "without a reason")
    outcome = _read(stream)
    assert repr(outcome) == repr(_read(stream))
    _check_order(outcome.market)
    return outcome


def _read(stream: Callable[[Reject], Iterable[Market]]) -> Outcome:
    market: list[Market] = []
    defects: list[Defect] = []
    try:
        for each in stream(defects.append):
            market.append(each)  # what came before the file breaks off counts
    except UnusableData as error:
        return Outcome(market, defects, str(error) or "without a reason")
    return Outcome(market, defects)


def check_said(error: Exception, *places: str) -> None:
    """An *error* names one of *places*, and can be shown whatever is in it."""
    said = str(error).encode().decode()
    assert any(place in said for place in places), said


def check_lines(outcome: Outcome, lines: Sequence[bytes], skipped: int) -> None:
    """Each of *lines* behind the first *skipped* is an event, a defect that shows it, or blank."""
    blank = {number for number, line in enumerate(lines, 1) if not line.strip()}
    header = [number for number in range(1, skipped + 1) if number not in blank]
    assert len(header) <= 1
    assert header in ([], [skipped])
    used = {number: line for number, line in enumerate(lines, 1) if number > skipped and number not in blank}
    check_numbers(outcome, used)
    assert [_shown(used[each.line]) for each in outcome.defects] == [each.text for each in outcome.defects]


def check_numbers(outcome: Outcome, used: Iterable[int]) -> None:
    """Each line that is *used*, by its number, is an event or one defect."""
    numbers = [each.line for each in outcome.defects]
    expected = set(used)
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) <= expected
    assert len(expected) == len(outcome.market) + len(outcome.defects)


def lines_of(content: bytes, table: TextTable) -> list[bytes] | None:
    """The lines of the file *content*, in UTF-8; None if it breaks off. A second way, to compare with."""
    try:
        text = _unpacked(content, table)
    except _BROKEN:
        return None
    mark = next((mark for mark in _MARKS if text.startswith(mark)), b"")
    text = text[len(mark) :]
    if table.file.encoding != "utf-8":
        text = text.decode(table.file.encoding, "backslashreplace").encode()
    return text.removesuffix(b"\n").split(b"\n") if text else []


def _unpacked(content: bytes, table: TextTable) -> bytes:
    if table.file.packing == "gzip":
        return gzip.decompress(content)
    if table.file.packing == "zip":
        return zipfile.ZipFile(io.BytesIO(content)).read(table.file.member)
    return content


def _shown(line: bytes) -> str:
    text = line.strip().decode("utf-8", "backslashreplace")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _check_order(market: Sequence[Market]) -> None:
    """All are sound; bars come strictly one after another, and quotes never run back."""
    assert all(each.is_sound for each in market)
    least = 1 if market and isinstance(market[0], Bar) else 0
    assert all(after.time - before.time >= least for before, after in pairwise(market))
