"""How much of each open hour has bars: what a picture of the gaps is made of."""

from __future__ import annotations

from collections import defaultdict
from typing import TypeAlias

import msgspec

from nicegold import DAY, SECOND, Sessions

_HOUR, _MINUTE = 3600 * SECOND, 60 * SECOND
_WEEK = 7 * DAY
#: 1970-01-01 was a Thursday: so long after a Monday.
_THURSDAY = 3 * DAY
#: Hours that one column of the picture stands for.
COLUMN = 3
COLUMNS = 7 * 24 // COLUMN
_COLUMN = COLUMN * _HOUR

#: How much of a cell has bars, from 0 to 1; None where the market is closed, or before and after the file.
Cell: TypeAlias = float | None


class Row(msgspec.Struct, frozen=True):
    """Some weeks from the Monday *begin* on (ns, on the venue's clock), in the `COLUMNS` of a week."""

    begin: int
    cells: list[Cell]


class Coverage:
    """Adds up what bars and quotes cover, by three hours on the venue's clock."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._covered: defaultdict[int, int] = defaultdict(int)
        self._minute = -1
        self.first = self.last = 0

    def take(self, begin: int, end: int) -> None:
        """Take a bar; or a quote, which stands for its minute and ends where it begins."""
        if begin == end:
            if begin // _MINUTE == self._minute:
                return
            self._minute = begin // _MINUTE
            begin, end = self._minute * _MINUTE, (self._minute + 1) * _MINUTE
        self.first = self.first or begin
        self.last = end
        local = self._sessions.to_local(begin)
        local_end = local + end - begin
        column = local // _COLUMN
        if local_end <= (column + 1) * _COLUMN:
            self._covered[column] += end - begin
        else:
            for each in range(column, -(-local_end // _COLUMN)):
                self._covered[each] += min(local_end, (each + 1) * _COLUMN) - max(local, each * _COLUMN)

    @property
    def open(self) -> int:
        """How many ns the market was open, from the first bar to the last."""
        return self._sessions.open_time(self.first, self.last)

    def rows(self, most: int) -> list[Row]:
        """The whole time in at most so many rows, each of one week or several."""
        if not self._covered:
            return []
        first, last = (_week(self._sessions.to_local(time)) for time in (self.first, self.last - 1))
        step = -(-(last - first + 1) // most)
        return [self._row(range(week, week + step)) for week in range(first, last + 1, step)]

    def _row(self, weeks: range) -> Row:
        return Row(weeks[0] * _WEEK - _THURSDAY, [self._cell(weeks, column) for column in range(COLUMNS)])

    def _cell(self, weeks: range, column: int) -> Cell:
        covered = expected = 0
        for week in weeks:
            is_open = self._open_of(week, column)
            expected += is_open
            # A bar of a day covers closed hours too.
            covered += min(self._covered.get(week * COLUMNS + column - _THURSDAY // _COLUMN, 0), is_open)
        return covered / expected if expected else None

    def _open_of(self, week: int, column: int) -> int:
        """How many ns of that *column* the market was open, and the file had begun and not ended."""
        minutes = _COLUMN // _MINUTE
        is_open = self._sessions.open_in_week(column * minutes, (column + 1) * minutes)
        begin = week * _WEEK - _THURSDAY + column * _COLUMN
        first, last = self._sessions.to_local(self.first), self._sessions.to_local(self.last)
        inside = min(last, begin + _COLUMN) - max(first, begin)
        return max(min(is_open, inside), 0)


def _week(local: int) -> int:
    return (local + _THURSDAY) // _WEEK
