"""How time is cut for a walk-forward: what is looked at, what is left out, and what is traded then."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from nicegold import DAY, SECOND
from nicegold_ops.errors import ConfigurationError
from nicegold_ops.sweep.window import Window

_UNITS = {"w": 7 * DAY, "d": DAY, "h": 3600 * SECOND, "m": 60 * SECOND}
_LENGTH = re.compile(r"(?P<count>\d+)(?P<unit>[wdhm])")


class Lengths(msgspec.Struct, frozen=True, kw_only=True):
    """How long each part of a fold is, in ns.

    *in_sample* chooses the parameters and *out_of_sample* trades them, after a *gap* that neither
    sees as its own. An *anchored* in-sample part always begins with the data, and grows.
    *warm_up* before the first trade strategies see the market; None is all of the in-sample part
    and the gap.
    """

    in_sample: int
    out_of_sample: int
    gap: int = 0
    anchored: bool = False
    warm_up: int | None = None


class Fold(msgspec.Struct, frozen=True):
    """One step of a walk-forward, counted from 1; times are ns UTC.

    From *start* to *chosen_at* is in sample, from *trades_from* to *end* out of sample. Before that,
    from *warm_from* on, strategies see the market without trading it.
    """

    number: int
    start: int
    chosen_at: int
    warm_from: int
    trades_from: int
    end: int

    @property
    def in_sample(self) -> Window:
        return Window(self.start, self.chosen_at)

    @property
    def out_of_sample(self) -> Window:
        is_warm = self.warm_from < self.trades_from
        return Window(self.warm_from, self.end, self.trades_from if is_warm else None)


def folds_of(first: int, last: int, lengths: Lengths) -> list[Fold]:
    """The folds that fit between two times (ns UTC), each later by the out-of-sample part.

    What remains at the end is not traded. Raises ConfigurationError when not even one fits.
    """
    if not (lengths.in_sample > 0 and lengths.out_of_sample > 0):
        raise ConfigurationError("--in-sample and --out-of-sample must be longer than nothing")
    found = list(_folds(first, last, lengths))
    if not found:
        needed = (lengths.in_sample + lengths.gap + lengths.out_of_sample) / DAY
        raise ConfigurationError(
            f"a fold takes {needed:g} days and the data have {(last - first) / DAY:.1f}; "
            "shorten --in-sample or --out-of-sample"
        )
    return found


def _folds(first: int, last: int, lengths: Lengths) -> Iterator[Fold]:
    chosen_at, number = first + lengths.in_sample, 1
    while (end := chosen_at + lengths.gap + lengths.out_of_sample) <= last:
        start = first if lengths.anchored else chosen_at - lengths.in_sample
        trades_from = chosen_at + lengths.gap
        warm_from = start if lengths.warm_up is None else max(first, trades_from - lengths.warm_up)
        yield Fold(number, start, chosen_at, warm_from, trades_from, end)
        chosen_at += lengths.out_of_sample
        number += 1


def parse_length(text: str) -> int:
    """A length of time such as 26w, 180d, 12h or 30m (minutes), in ns. Raises ValueError."""
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise ValueError(f"{text} is not a length of time; write one such as 26w, 180d, 12h or 30m")
    return int(found["count"]) * _UNITS[found["unit"]]
