"""The columns of market data: what people call them.

To know one more name of a column, add it to `NAMES`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from nicegold.quality import UnusableData

#: What columns are called, the best name first. Case, spaces and signs do not count.
NAMES: dict[str, tuple[str, ...]] = {
    "date": ("date", "day"),
    "time": ("datetime", "time", "timestamp", "date", "gmttime", "utctime", "opentime", "tsevent", ""),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c", "last", "price"),
    "volume": ("tickvolume", "tickvol", "volume", "vol", "v", "realvolume"),
    "spread": ("spread",),
    "bid": ("bid", "bidprice", "b"),
    "ask": ("ask", "askprice", "offer", "a"),
    "bid_size": ("bidsize", "bidvolume", "bidvol"),
    "ask_size": ("asksize", "askvolume", "askvol"),
    "flags": ("flags",),
    "symbol": ("symbol", "ticker", "instrument", "pair"),
}
#: What the time of day is called where the date has a column of its own.
_CLOCK_NAMES = ("time", "timestamp", "clock", "hour")

#: Names of a file's columns, by the names that we have for them.
Chosen: TypeAlias = Mapping[str, str]
PRICES = frozenset({"open", "high", "low", "close", "bid", "ask"})
#: Characters of a file that a message shows.
_QUOTED = 200


def find_columns(names: Sequence[str], chosen: Chosen) -> dict[str, int]:
    """Which of our `NAMES` the columns called *names* have, and where; *chosen* goes first.

    Of two columns with one name the first counts. Raises UnusableData where *chosen* names none.
    """
    plain = [plain_name(name) for name in names]
    found = {}
    for ours, known in NAMES.items():
        if ours in chosen:
            found[ours] = _chosen_column(names, ours, chosen[ours])
        elif position := [plain.index(each) for each in known if each in plain and _may_be(each, names)]:
            found[ours] = position[0]
    return found


def refuse_missing(columns: Mapping[str, int], wanted: Sequence[str], names: Sequence[str]) -> None:
    """Raise UnusableData if *columns* lack one that is *wanted*; it shows *names*, and the way out."""
    for name in wanted:
        if name not in columns:
            raise UnusableData(
                f'has no column for "{name}"; it has: {listed(names)}; '
                f'name it with columns = {{{name} = "..."}}{_closes_alone(columns, wanted, names)}'
            )


def _closes_alone(columns: Mapping[str, int], wanted: Sequence[str], names: Sequence[str]) -> str:
    """How to make bars of closes, where these are there and other prices are not."""
    missing = [name for name in wanted if name in PRICES and name not in columns]
    if "close" not in columns or not missing:
        return ""
    close = names[columns["close"]].strip()
    said = ", ".join(f'{name} = "{close}"' for name in missing)
    return f"; where the close may stand for it, with columns = {{{said}}}"


def refuse_unknown(chosen: Chosen, known: Sequence[str]) -> None:
    """Raise ValueError if *chosen* names what no column is for."""
    for name in chosen:
        if name not in known:
            raise ValueError(f'columns has "{name}"; it may name {", ".join(known)}')


def plain_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _may_be(plain: str, names: Sequence[str]) -> bool:
    # Only the first column may have no name: an index that somebody's program wrote.
    return bool(plain) or not names[0].strip()


def _chosen_column(names: Sequence[str], ours: str, theirs: str) -> int:
    for position, name in enumerate(names):
        if theirs.strip() == name.strip() or (plain_name(theirs) and plain_name(theirs) == plain_name(name)):
            return position
    raise UnusableData(f'has no column "{theirs}" for {ours}; it has: {listed(names)}')


def listed(names: Sequence[str]) -> str:
    return shortened(", ".join(name.strip() or '""' for name in names))


def shortened(text: str) -> str:
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."


def time_candidates(names: Sequence[str], chosen: Chosen) -> list[tuple[int, ...]]:
    """Where the time may be, the likeliest first: date and time of day, or one column."""
    plain = [plain_name(name) for name in names]
    columns = find_columns(names, chosen)
    clocks = [columns["time"]] if "time" in chosen else []
    clocks += [plain.index(name) for name in _CLOCK_NAMES if name in plain]
    days = [columns["date"]] if "date" in columns else []
    ones = [columns[name] for name in ("time", "date") if name in columns]
    ones += [plain.index(name) for name in NAMES["time"] if name in plain and _may_be(name, names)]
    pairs = [(day, clock) for day in days for clock in clocks if clock != day]
    return [*pairs, *((column,) for column in dict.fromkeys(ones))]
