"""How numbers are printed. What has no meaning is an empty text, which the page shows as a dash."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeAlias

Number: TypeAlias = float | Decimal | None

_SECOND = 1_000_000_000
_MINUS = "\N{MINUS SIGN}"
_DAY_SECONDS = 86_400


def count(value: int) -> str:
    return f"{value:,}"


def money(value: Number) -> str:
    """To the cent."""
    return written(value, "z,.2f")


def ratio(value: Number) -> str:
    return written(value, "z,.2f")


def percent(value: Number, form: str = "z,.2f") -> str:
    """A part of one, in percent."""
    text = written(None if value is None else value * 100, form)
    return f"{text}%" if text else ""


def price(value: Number) -> str:
    """As exact as it is, up to five places; at least two."""
    whole, _, places = written(value, "z.5f").partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}" if whole else ""


def quantity(value: Decimal) -> str:
    """Lots, as they were ordered."""
    return f"{value:f}".replace("-", _MINUS)


def microseconds(seconds: Number) -> str:
    return written(None if seconds is None else seconds * 10**6, ",.1f")


def moment(time: int) -> str:
    """A time (ns UTC) to the minute; to the second where that says more."""
    at = datetime.fromtimestamp(time // _SECOND, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}" if at.second else f"{at:%Y-%m-%d %H:%M}"


def day(time: int) -> str:
    """The date of a time (ns UTC)."""
    return moment(time)[:10]


def span(seconds: Number) -> str:
    """A length of time in its two largest units."""
    if seconds is None:
        return ""
    whole = int(seconds)
    days, hours, minutes = whole // _DAY_SECONDS, whole % _DAY_SECONDS // 3600, whole % 3600 // 60
    if days:
        return f"{days:,} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{whole} s"


def sign_of(value: Number) -> int:
    """1 for a gain, -1 for a loss, 0 for neither."""
    return 0 if value is None or value == 0 else 1 if value > 0 else -1


def written(value: Number, form: str) -> str:
    """*value* in that *form*, with a minus that is one."""
    return "" if value is None or not math.isfinite(value) else format(value, form).replace("-", _MINUS)
