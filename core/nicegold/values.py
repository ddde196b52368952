"""What a value must be before anybody may rely on it: the checks behind the nouns."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec

ZERO: Final = Decimal(0)
#: Nanoseconds since 1970, or any whole number, that 64 bits do not hold.
TOO_LATE: Final = 1 << 63
#: No price or volume is this large, and Decimals of smaller ones still have room for the tick.
_TOO_MUCH: Final = 1e15
_NUMBERS: Final = frozenset({float, int})
#: Amounts between these: sums and products of them keep their digits and never overflow.
_LEAST: Final = Decimal("1E-12")
_MOST: Final = Decimal("1E+13")


def misfit(value: msgspec.Struct) -> str:
    """Which field of *value* the journal could not take as what it should be; empty when all fit.

    Structs do not look at types when they are built, and anybody may build one.
    """
    return "" if fits_of(type(value))(value) else _misfit(value)


@cache
def fits_of(struct: type[msgspec.Struct]) -> Callable[[Any], bool]:
    """Whether all fields of a *struct* surely fit, in one expression: a loop over them costs four times that.

    It may doubt a field that fits, such as a name that is not ASCII; `_misfit` has the last word.
    """
    conditions: list[str] = []
    names: dict[str, Any] = {"TOO_LATE": TOO_LATE}
    for number, (name, kinds) in enumerate(_kinds(struct)):
        field, kind = f"value.{name}", f"kind_{number}"
        alone = len(kinds) == 1
        names[kind] = next(iter(kinds)) if alone else kinds
        conditions.append(f"type({field}) {'is' if alone else 'in'} {kind}")
        if int in kinds:
            conditions.append(f"-TOO_LATE <= {field} < TOO_LATE")
        if str in kinds:
            conditions.append(f"{field}.isascii()")
    # Only the names of a Struct's fields reach the source.
    fits: Callable[[Any], bool] = eval(f"lambda value: {' and '.join(conditions) or True}", names)  # noqa: S307
    return fits


def _misfit(value: msgspec.Struct) -> str:
    for name, kinds in _kinds(type(value)):
        found = getattr(value, name)
        if type(found) not in kinds:
            return f"{name} is a {type(found).__name__}"
        if type(found) is int and not -TOO_LATE <= found < TOO_LATE:
            return f"{name} does not fit 64 bits"
        if type(found) is str and not _is_text(found):
            return f"{name} is not text: {found!a}"
    return ""


@cache
def _kinds(struct: type[msgspec.Struct]) -> tuple[tuple[str, frozenset[type]], ...]:
    hints = get_type_hints(struct)
    return tuple((name, frozenset(_allowed(hints[name]))) for name in struct.__struct_fields__)


def _allowed(hint: Any) -> set[type]:
    origin = get_origin(hint)
    if origin in (list, dict):
        return {origin}
    if origin is not None:
        return {kind for each in get_args(hint) for kind in _allowed(each)}
    return {float, int} if hint is float else {hint}


def _is_text(value: str) -> bool:
    """Whether it is Unicode: a lone surrogate, from a file's name, is not."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_sound_bar(bar: Any) -> bool:
    """Whether the figures of *bar* can be prices: NaN, infinity and numpy's numbers are none.

    Here and not in `model`, since it is asked of every bar and what is here is compiled.
    """
    low, high, opened, close = bar.low, bar.high, bar.open, bar.close
    volume, spread, start, time = bar.volume, bar.spread, bar.start, bar.time
    if not (
        type(low) is float
        and type(high) is float
        and type(opened) is float
        and type(close) is float
        and type(volume) is float
        and type(spread) is float
    ):
        # Whole numbers will do.
        figures = (low, high, opened, close, volume, spread)
        if not all(type(each) in _NUMBERS for each in figures):
            return False
        low, high, opened, close, volume, spread = map(float, figures)
    return (
        _are_prices(low, high, opened, close, volume, spread)
        and type(start) is int
        and type(time) is int
        and 0 <= start <= time < TOO_LATE
    )


def _are_prices(low: float, high: float, opened: float, close: float, volume: float, spread: float) -> bool:
    return (
        low > 0.0
        and low <= opened <= high
        and low <= close <= high
        and volume >= 0.0
        and spread >= 0.0
        and low + high + opened + close + volume + spread < _TOO_MUCH
    )


def is_sound_quote(quote: Any) -> bool:
    """Whether the figures of *quote* can be prices and sizes."""
    bid, ask, time = quote.bid, quote.ask, quote.time
    bid_size, ask_size = quote.bid_size, quote.ask_size
    total = 0.0 + bid + ask + bid_size + ask_size
    return bool(
        type(total) is float
        and 0.0 < bid <= ask
        and bid_size >= 0.0 <= ask_size
        and total < _TOO_MUCH
        and type(time) is int
        and 0 <= time < TOO_LATE
    )


def is_positive(value: object) -> bool:
    """Whether `positive` takes *value*; on the way of every order, where nothing is to be said."""
    return type(value) is Decimal and value.is_finite() and _LEAST <= value < _MOST


def is_finite(value: object) -> bool:
    """Whether `finite` takes *value*."""
    return type(value) is Decimal and value.is_finite() and (not value or _LEAST <= abs(value) < _MOST)


def one_of(what: str, name: str, value: object, kind: type[StrEnum]) -> None:
    """Raise TypeError unless *value*, the *name* of *what*, is one of *kind*."""
    if type(value) is not kind:
        uses = " or ".join(f"{kind.__name__}.{each.name}" for each in kind)
        raise TypeError(f"{what}: {name} is {value!r}; use {uses}")


def finite(what: str, name: str, value: object) -> None:
    """Raise TypeError or ValueError unless *value* is a Decimal that can be an amount."""
    if type(value) is not Decimal:
        raise TypeError(f'{what}: {name} is {value!r}; use Decimal("{value}")')
    if not value.is_finite():
        raise ValueError(f"{what}: {name} is {value}")
    if value and not _LEAST <= abs(value) < _MOST:
        raise ValueError(f"{what}: {name} is {value:E}; that is no amount")


def positive(what: str, name: str, value: object) -> None:
    """As `finite`, and above 0."""
    finite(what, name, value)
    if not value > ZERO:  # type: ignore[operator]  # finite has seen that it is a Decimal
        raise ValueError(f"{what}: {name} is {value}; it must be above 0")


def not_negative(what: str, name: str, value: object) -> None:
    """As `finite`, and 0 or above."""
    finite(what, name, value)
    if not value >= ZERO:  # type: ignore[operator]  # finite has seen that it is a Decimal
        raise ValueError(f"{what}: {name} is {value}; it must not be negative")
