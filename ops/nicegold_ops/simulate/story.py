"""What happened in a simulation, in the order in which it did, for a person."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from nicegold import Event, Snapshot, Started

#: Not worth a word: everybody has them, or they are long.
_LEFT_OUT = frozenset({"time", "strategy", "rate", "asked", "oco", "parent"})
_SECOND = 1_000_000_000


class Told(msgspec.Struct, frozen=True):
    """Who did what, *time* ns after the beginning."""

    time: int
    who: str
    text: str

    def __str__(self) -> str:
        return f"{self.time / _SECOND:9.3f}  {self.who:8}  {self.text}"


class Story:
    """Lines that are told; *began* is the time (ns UTC) from which they count."""

    def __init__(self, began: int) -> None:
        self._began = began
        self.lines: list[Told] = []

    def tell(self, time: int, who: str, text: str) -> None:
        self.lines.append(Told(time - self._began, who, text))

    def __str__(self) -> str:
        return "\n".join(map(str, self.lines))


def words(event: object) -> str:
    """*event* in one line."""
    name = type(event).__name__
    if isinstance(event, Started | Snapshot) or not isinstance(event, msgspec.Struct):
        return name
    shown = [
        f"{field}={_word(value)}"
        for field in event.__struct_fields__
        if field not in _LEFT_OUT and not _is_plain(value := getattr(event, field))
    ]
    return " ".join([name, *shown])


def _is_plain(value: Any) -> bool:
    return value is None or value == "" or value is False or value == 0


def _word(value: Any) -> str:
    match value:
        case Enum():
            return str(value.value)
        case Decimal():
            return f"{value:f}"
        case str():
            return value if " " not in value else repr(value)
        case Event():
            return f"({words(value)})"
        case list():
            return "[" + ", ".join(map(_word, value)) + "]"
        case msgspec.Struct():
            return " ".join(str(getattr(value, field)) for field in value.__struct_fields__)
        case _:
            return str(value)
