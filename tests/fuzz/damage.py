"""Damage to a sound file of one of ours: few bytes say where and what, so that the rest stays sound."""

from __future__ import annotations

import struct
from collections.abc import Iterator

#: Where, and the byte that is there then.
_CHANGE = struct.Struct(">HB")


def damaged(sound: bytes, changes: bytes) -> bytes:
    """*sound* with *changes*; half a change at their end cuts it off there."""
    content = bytearray(sound)
    whole = len(changes) - len(changes) % _CHANGE.size
    for place, byte in _CHANGE.iter_unpack(changes[:whole]):
        content[place % len(sound)] = byte
    rest = changes[whole:]
    return bytes(content[: int.from_bytes(rest) % len(sound)] if rest else content)


def damages(size: int) -> Iterator[bytes]:
    """Some changes of a file of *size* bytes."""
    yield b""
    yield from (_CHANGE.pack(place, 0xFF) for place in range(0, min(size, 1 << 16), max(size // 24, 1)))
