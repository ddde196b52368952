"""Market data that cannot be right: told apart from what can, counted, and never silently repaired."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import msgspec

from nicegold.model import Bar


class Defect(msgspec.Struct, frozen=True):
    """A line that was not used: its *kind* for counting, *reason* for a person, *text* as it stood.

    Kinds: duplicate, backward, broken_ohlc, not_finite, unreadable.
    """

    kind: str
    line: int
    reason: str
    text: str


#: Takes what a feed will not deliver, so that lines in = events out + defects.
Reject: TypeAlias = Callable[[Defect], None]
