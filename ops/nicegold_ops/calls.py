"""How plugins were called, on record: in blocks beside the journal's, chained as those are.

A line is a `Cycle` that is worth keeping, with each of its calls, or a `Count` of all calls since the one
before it, with a digest of their records: so each call is proven, and none is written singly. A block goes
with the journal's next transaction, once a second at most: an order's way to the disk is not made longer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec
import sqlalchemy as sa

from nicegold_ops.chain import GENESIS, MacKey, followed, link, mac_of
from nicegold_ops.errors import DataError
from nicegold_ops.store.place import place_of
from nicegold_ops.store.queries import CallBlock, call_blocks_after
from nicegold_ops.store.tables import calls
from nicegold_ops.telemetry.cycles import Count, Cycle

Line: TypeAlias = Cycle | Count
#: ns between two blocks.
_EACH = 1_000_000_000
#: Lines in a block, and blocks that wait for a transaction before lines are dropped.
_LINES = 1000
_MOST = 100 * _LINES
_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
_ADD = calls.insert()


def lines_of(block: CallBlock) -> list[Line]:
    """What *block* says. Raises DataError where it is no such block."""
    try:
        return _decoder.decode_lines(block.payload)
    except ValueError as error:
        raise DataError(f"block {block.number} of the calls of {block.run} cannot be read: {error}") from None


class CallLog:
    """Takes lines from the thread that reads the recorder, for the one that writes the journal.

    With *key*, each block has its code.
    """

    def __init__(self, run: str, key: MacKey | None = None) -> None:
        #: Lines that there was no room for.
        self.dropped = 0
        self._run = run
        self._key = key
        self._lines: deque[bytes] = deque()
        self._number = 0
        self._digest = GENESIS
        self._newest = 0
        self._is_last = False

    def put(self, line: Line) -> None:
        """Take *line*, at once."""
        if len(self._lines) < _MOST:
            self._lines.append(_encode(line) + b"\n")
        else:
            self.dropped += 1

    def close(self) -> None:
        """No line comes any more; what waits is due at once."""
        self._is_last = True

    def due(self, now: int) -> list[dict[str, Any]]:
        """Rows of what waits, if a second has passed since the last ones, at *now* (ns UTC)."""
        if not self._lines or not (self._is_last or abs(now - self._newest) >= _EACH):
            return []
        self._newest = now
        return list(self._blocks(now))

    def _blocks(self, now: int) -> Iterator[dict[str, Any]]:
        while self._lines:
            count = min(_LINES, len(self._lines))
            payload = b"".join(self._lines.popleft() for _ in range(count))
            self._digest = link(self._digest, payload)
            yield {
                "run": self._run,
                "number": self._number,
                "payload": payload,
                "digest": self._digest,
                "created_at": now,
                "mac": mac_of(self._key, f"{self._run}/calls", self._number, self._digest),
            }
            self._number += 1


def write(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    """Write what `CallLog.due` gave, in the transaction of *connection*."""
    if rows:
        connection.execute(_ADD, rows)


def stored(store: sa.Engine, run: str) -> Iterator[CallBlock]:
    """The blocks of *run* in their order, as they are stored."""
    number = -1
    while page := blocks_of(store, run, number):
        yield from page
        number = page[-1].number


def blocks_of(store: sa.Engine, run: str, after: int, *, limit: int = 100) -> list[CallBlock]:
    """The blocks of *run* after the number *after*, *limit* at most, as they are stored."""
    with store.connect() as connection:
        return call_blocks_after(connection, run, after, limit=limit)


def read(store: sa.Engine, run: str) -> Iterator[CallBlock]:
    """The blocks of *run*, their chain followed. Raises DataError at the first that is not sound."""
    return followed(
        stored(store, run),
        0,
        GENESIS,
        lambda number: (
            f"{place_of(store)}: block {number} of the calls of run {run} is missing or was changed; "
            "those before it are sound"
        ),
    )
