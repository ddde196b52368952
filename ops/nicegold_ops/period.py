"""The part of the market that a run asks for, by `[run] start` and `end`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import dropwhile, takewhile

from nicegold import Market
from nicegold_ops.config import RunSettings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def within(run: RunSettings, stream: Iterator[Market]) -> Iterator[Market]:
    """What of *stream*, which is in the order of time, is known from the run's start until before its end."""
    if run.start is not None:
        start = nanoseconds(run.start)
        stream = dropwhile(lambda market: market.time < start, stream)
    if run.end is not None:
        end = nanoseconds(run.end)
        stream = takewhile(lambda market: market.time < end, stream)
    return stream


def nanoseconds(moment: datetime) -> int:
    """*moment*, which has a zone, as ns UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def moment(time: int) -> str:
    """*time* (ns UTC), to the microsecond, as a configuration has it."""
    return (_EPOCH + timedelta(microseconds=time // 1000)).isoformat().replace("+00:00", "Z")
