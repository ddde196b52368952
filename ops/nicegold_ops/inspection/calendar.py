"""When bars begin: on which days, how far apart, and whether these are all that there were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from math import log

from nicegold import DAY, Clock, name_timeframe, parse_timeframe, show_time
from nicegold_ops.inspection.finding import Finding, Places

_WEEK = 7 * DAY
_SATURDAY, _SUNDAY = 2, 3  # counted from Thursday, 1970-01-01
#: Steps from bar to bar that tell what is usual in a month.
_ENOUGH = 3
#: Terminals hand out so many rows at most.
_THOUSAND = 1000
_TIMEFRAMES = tuple(map(parse_timeframe, ("S1", "M1", "M5", "M15", "M30", "H1", "H4", "D1", "W1", "D30")))


class Calendar:
    """Looks at the begins of bars of *length* ns, stamped with *clock*."""

    def __init__(self, clock: Clock, length: int) -> None:
        self._clock, self._length = clock, length
        self._saturdays, self._sundays = Places(), Places()
        self._months: dict[str, Counter[int]] = {}
        self._last, self._month_end, self._steps = 0, 0, Counter[int]()
        self._count = 0

    def take(self, begin: int) -> None:
        """Take the next bar's begin (ns UTC)."""
        if begin >= self._month_end:
            self._steps = self._months.setdefault(show_time(begin)[:7], Counter())
            # Looked at again every day: the month may be over.
            self._month_end = begin - begin % DAY + DAY
        if self._last:
            self._steps[begin - self._last] += 1
        if DAY <= self._length < _WEEK:
            self._day(begin)
        self._last = begin
        self._count += 1

    def _day(self, begin: int) -> None:
        weekday = self._clock.to_local(begin) // DAY % 7
        if weekday == _SATURDAY:
            self._saturdays.add(begin)
        elif weekday == _SUNDAY:
            self._sundays.add(begin)

    def findings(self, rows: int) -> list[Finding]:
        """What is odd about them, in a file of so many *rows*."""
        found = [self._of_rows(rows), self._of_timeframe()]
        for name, places in (("saturday", self._saturdays), ("sunday", self._sundays)):
            if places.count:
                found.append(_weekend(name, places))
        return [finding for finding in found if finding is not None]

    def _of_rows(self, rows: int) -> Finding | None:
        if not rows or rows % _THOUSAND:
            return None
        why = f"it has exactly {rows:,} rows: a terminal or a query may have cut it there"
        return Finding("round_rows", "note", 1, [], why, "see whether the source has more")

    def _of_timeframe(self) -> Finding | None:
        stretches = list(self._stretches())
        if len(stretches) < 2:
            return None
        said = ", ".join(
            f"{name_timeframe(step)} apart from {begin} to {end}" for step, begin, end in stretches[:4]
        )
        more = f" and {len(stretches) - 4} more stretches" if len(stretches) > 4 else ""
        advice = "split the file there; a run with one timeframe would see the future, or refuse it"
        return Finding(
            "other_timeframe",
            "warning",
            len(stretches) - 1,
            [stretches[-1][1]],
            f"bars are {said}{more}",
            advice,
        )

    def _stretches(self) -> Iterator[tuple[int, str, str]]:
        """The usual step, and the first and last month of each time that has it."""
        usual = [(_usual(steps), month) for month, steps in self._months.items() if steps.total() >= _ENOUGH]
        for step, months in groupby(usual, key=lambda each: each[0]):
            names = [month for _, month in months]
            yield step, names[0], names[-1]


def _usual(steps: Counter[int]) -> int:
    """The timeframe that is nearest to the median step."""
    median = sorted(steps.elements())[steps.total() // 2]
    return min(_TIMEFRAMES, key=lambda length: abs(log(median / length)))


def _weekend(name: str, places: Places) -> Finding:
    why = f"bars of a day begin on a {name.title()}: a short session of its own, or another clock"
    advice = "they count as days: averages over days mix them in"
    return Finding(name, "warning", places.count, places.first, why, advice)
