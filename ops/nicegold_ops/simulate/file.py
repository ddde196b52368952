"""A file of which a crash keeps what was synced, and anything of the rest.

The model of a crash is that of SQLite's own test6.c, with writes that are cut short on top. Bytes
beside a write are never harmed (SQLITE_IOCAP_POWERSAFE_OVERWRITE), as SQLite takes it of a disk.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple, TypeAlias


class Write(NamedTuple):
    """*data* put at *offset* (bytes)."""

    offset: int
    data: bytes


class Truncation(NamedTuple):
    """The file cut to *size* bytes."""

    size: int


Change: TypeAlias = Write | Truncation


class File:
    """Its *content* as programs see it, and what it takes to tell what is on the disk for certain."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = bytearray(content)
        #: What was done since the last sync, and what undoes it: most files are never asked what a crash
        #: leaves of them, so what is on the disk is not kept a second time.
        self._pending: list[Change] = []
        self._undo: list[Change] = []
        #: What is on the disk, once that is not what was written: after a sync that failed, or a bit rotted.
        self._apart: bytearray | None = None

    def write(self, offset: int, data: bytes) -> None:
        self._change(Write(offset, data))

    def truncate(self, size: int) -> None:
        """Cut the file to *size* bytes; a file is not made longer by it."""
        if size < len(self.content):
            self._change(Truncation(size))

    def sync(self) -> None:
        """What was written survives from here on."""
        if self._apart is not None:
            for change in self._pending:
                _apply(self._apart, change)
        self._pending.clear()
        self._undo.clear()

    def fail_sync(self, random: Random, sector_size: int) -> None:
        """A sync that failed: anything of what was written is on the disk, and no later sync mends it.

        That is how Linux does it ("fsyncgate"): the pages count as written, so they are not written again.
        """
        self._apart = bytearray(self.survivor(random, sector_size))
        self._pending.clear()
        self._undo.clear()

    def survivor(self, random: Random, sector_size: int) -> bytes:
        """What a crash leaves: each change since the last sync is kept, dropped, torn or cut short."""
        left = self._synced()
        for change in self._pending:
            _damage(left, change, random, sector_size)
        return bytes(left)

    def rot(self, random: Random) -> int:
        """Flip one bit of what is on the disk, and say at which byte. Raises ValueError if nothing is."""
        left = self._apart = self._synced()
        if not left:
            raise ValueError("it holds no byte on the disk that could rot")
        place = random.randrange(len(left))
        left[place] ^= 1 << random.randrange(8)
        self.content[:] = left
        for change in self._pending:
            _apply(self.content, change)
        return place

    def _synced(self) -> bytearray:
        """What is on the disk for certain."""
        if self._apart is not None:
            return bytearray(self._apart)
        left = bytearray(self.content)
        for change in reversed(self._undo):
            _apply(left, change)
        return left

    def _change(self, change: Change) -> None:
        self._pending.append(change)
        if self._apart is None:
            self._undo += _inverse(self.content, change)
        _apply(self.content, change)


def _inverse(content: bytearray, change: Change) -> list[Change]:
    """What undoes *change* to *content*, the last one first."""
    match change:
        case Write(offset, data):
            before = bytes(content[offset : offset + len(data)])
            grows = offset + len(data) > len(content)
            return [
                *([Write(offset, before)] if before else []),
                *([Truncation(len(content))] if grows else []),
            ]
        case Truncation(size):
            return [Write(size, bytes(content[size:]))]


def _apply(content: bytearray, change: Change) -> None:
    match change:
        case Write(offset, data):
            if offset > len(content):
                content.extend(bytes(offset - len(content)))
            content[offset : offset + len(data)] = data
        case Truncation(size):
            del content[size:]


def _damage(content: bytearray, change: Change, random: Random, sector_size: int) -> None:
    match change, random.choice(("kept", "dropped", "torn", "short")):
        case _, "kept":
            _apply(content, change)
        case Write(offset, data), "short":
            _apply(content, Write(offset, data[: random.randrange(len(data))]))
        case Write() as write, "torn":
            for sector in _sectors(write, sector_size):
                _tear(content, sector, random)


def _sectors(write: Write, size: int) -> list[Write]:
    """*write* in the pieces that fall into sectors of *size* bytes."""
    first, last = write.offset // size, (write.offset + len(write.data) - 1) // size
    edges = [write.offset, *(each * size for each in range(first + 1, last + 1))]
    starts = [edge - write.offset for edge in edges]
    ends = [*starts[1:], len(write.data)]
    return [Write(edge, write.data[a:b]) for edge, a, b in zip(edges, starts, ends, strict=True)]


def _tear(content: bytearray, sector: Write, random: Random) -> None:
    match random.choice(("kept", "dropped", "trashed")):
        case "kept":
            _apply(content, sector)
        case "trashed":
            _apply(content, Write(sector.offset, random.randbytes(len(sector.data))))
