"""The feed `ticks` on any bytes: the first two choose its settings, the rest are its file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nicegold_plugins.feeds.ticks import Ticks
from tests.fuzz.forms import ENCODINGS, PACKINGS, TICKS, sample
from tests.fuzz.law import OPEN_ALWAYS, SYMBOL, check_lines, lines_of, outcome_of

#: What the bits of the second byte say.
_NEWEST, _NEW_YORK, _UNCHANGED, _UTF_16 = (1 << bit for bit in range(4))
_FORMS = tuple(TICKS.values())


def seeds() -> Iterator[bytes]:
    """A small file of each form, some of them packed, encoded or with blanks."""
    for number, form in enumerate(_FORMS):
        yield bytes([number, 0]) + sample(form)
        yield bytes([number, _NEW_YORK]) + sample(form)
    plain = sample(TICKS["MT5"])
    yield bytes([0, 0]) + plain.replace(b"\t1687.39", b"\t")
    yield bytes([0, _UNCHANGED]) + sample(_FORMS[0]).replace(b",1687.39", b",")
    yield bytes([0, _UTF_16]) + plain.decode().encode("utf-16-le")
    yield from (bytes([0, 0]) + encoded(plain) for encoded in ENCODINGS.values())
    yield from (bytes([0, 0]) + packed(plain) for packed in PACKINGS.values())


def check(content: bytes, folder: Path) -> None:
    """Raise AssertionError if the law is broken by the file that *content* says; it is put into *folder*."""
    number, flags = (*content[:2], 0, 0)[:2]
    path = folder / "ticks.csv"
    path.write_bytes(content[2:])
    feed = _feed(number, flags, path)
    outcome = outcome_of(feed, feed.stream_market, OPEN_ALWAYS)
    if outcome.refused:
        assert outcome.refused.startswith("ticks.csv "), outcome.refused
        return
    lines = lines_of(content[2:], feed._table)
    assert lines is not None
    check_lines(outcome, lines, feed._table.skipped)


def _feed(number: int, flags: int, path: Path) -> Ticks:
    settings: dict[str, Any] = {
        "timezone": "America/New_York" if flags & _NEW_YORK else "UTC",
        "order": "newest" if flags & _NEWEST else "",
        "encoding": "utf-16-le" if flags & _UTF_16 else "",
        "blank": "unchanged" if flags & _UNCHANGED else "",
    }
    return Ticks(instrument=SYMBOL, path=path, **(settings | _FORMS[number % len(_FORMS)].settings))
