"""The feed `csv` on any bytes: the first two choose its settings, the rest are its file, or its two."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from nicegold import TextTable
from nicegold_plugins.feeds.csv import Csv
from tests.fuzz.forms import BARS, ENCODINGS, PACKINGS, sample
from tests.fuzz.law import OPEN_ALWAYS, OPEN_AS_GOLD, SYMBOL, Outcome, check_lines, lines_of, outcome_of

#: What the bits of the second byte say.
_NEWEST, _NEW_YORK, _GOLD_HOURS, _UTF_16, ASKS, _IN_PRICE = (1 << bit for bit in range(6))
#: Between the bids and the asks.
APART = b"\n===\n"
_OF_ASKS = "in asks.csv: "
_FORMS = tuple(BARS.values())


def seeds() -> Iterator[bytes]:
    """A small file of each form, some of them packed, encoded, turned or doubled."""
    for number, form in enumerate(_FORMS):
        yield bytes([number, 0]) + sample(form)
        yield bytes([number, _NEW_YORK | _GOLD_HOURS]) + sample(form)
    plain = sample(_FORMS[0])
    turned = b"".join(reversed(plain.splitlines(keepends=True)))
    yield bytes([0, _NEWEST]) + turned
    yield bytes([0, ASKS]) + plain + APART + plain.replace(b"687.", b"688.")
    yield bytes([0, _UTF_16]) + plain.decode().encode("utf-16-le")
    yield from (bytes([0, 0]) + encoded(plain) for encoded in ENCODINGS.values())
    for packed in PACKINGS.values():
        yield bytes([0, 0]) + packed(plain)
        yield bytes([0, _NEWEST]) + packed(turned)


def check(content: bytes, folder: Path) -> None:
    """Raise AssertionError if the law is broken by the file that *content* says; it is put into *folder*."""
    number, flags = (*content[:2], 0, 0)[:2]
    bids, _, asks = content[2:].partition(APART) if flags & ASKS else (content[2:], b"", b"")
    paths = [folder / "bars.csv", folder / "asks.csv"]
    for path, part in zip(paths, (bids, asks), strict=True):
        path.write_bytes(part)
    feed = _feed(number, flags, paths)
    instruments = OPEN_AS_GOLD if flags & _GOLD_HOURS else OPEN_ALWAYS
    outcome = outcome_of(feed, partial(feed.stream_market, instruments), instruments)
    if outcome.refused:
        assert outcome.refused.startswith(("bars.csv ", "asks.csv ")), outcome.refused
        return
    of_asks = [each for each in outcome.defects if each.reason.startswith(_OF_ASKS)]
    of_bids = [each for each in outcome.defects if not each.reason.startswith(_OF_ASKS)]
    _check(Outcome(outcome.market, of_bids), bids, feed._table)
    if feed._asks is not None:
        _check(Outcome(outcome.market, of_asks), asks, feed._asks)


def _feed(number: int, flags: int, paths: list[Path]) -> Csv:
    settings: dict[str, Any] = {
        "timezone": "America/New_York" if flags & _NEW_YORK else "UTC",
        "timeframe": "M1",
        "ask_path": paths[1] if flags & ASKS else None,
        "order": "newest" if flags & _NEWEST else "",
        "encoding": "utf-16-le" if flags & _UTF_16 else "",
        "spread_in": "price" if flags & _IN_PRICE else "points",
    }
    return Csv(instrument=SYMBOL, path=paths[0], **(settings | _FORMS[number % len(_FORMS)].settings))


def _check(outcome: Outcome, content: bytes, table: TextTable) -> None:
    lines = lines_of(content, table)
    assert lines is not None
    check_lines(outcome, lines, table.skipped)
