"""How long a bar is, as traders write it: S30, M1, M15, H4, D1, W1."""

from __future__ import annotations

import re
import sys

from nicegold.sessions import DAY, SECOND

_UNITS = {"W": 7 * DAY, "D": DAY, "H": 3600 * SECOND, "M": 60 * SECOND, "S": SECOND}
_FORM = re.compile(r"([WDHMS])([1-9][0-9]{0,3})")


def parse_timeframe(text: str) -> int:
    """The length in ns of the timeframe *text*. Raises ValueError that shows the form."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f'timeframe is "{text}"; write a unit and a count, such as M1, M15, H4 or D1')
    return _UNITS[found[1]] * int(found[2])


def bar_lengths(text: str) -> range:
    """The lengths in ns that bars of the timeframe *text* have; every length if it is empty.

    From a day on, an hour more or less too: a day on which clocks change has 23 or 25. Raises
    ValueError that shows the form.
    """
    if not text:
        return range(sys.maxsize)
    length = parse_timeframe(text)
    change = 3600 * SECOND if length >= DAY else 0
    return range(length - change, length + change + 1)


def name_timeframe(length: int) -> str:
    """How traders write a *length* in ns: the greatest unit that fits."""
    unit = next((unit for unit, size in _UNITS.items() if length % size == 0), None)
    return f"{length / SECOND:g} s" if unit is None else f"{unit}{length // _UNITS[unit]}"
