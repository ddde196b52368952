"""Every call of every plugin, read once from the flight recorder, and the cycles that are worth keeping.

A cycle is what one input leads to, known by the input's number, its cause. It is read when it is over: all of
its calls are in the recorder then, and the trading thread is not waited for.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Collection, Iterable

import msgspec
import numpy as np
import numpy.typing as npt

from nicegold_ops.telemetry.flight import FIRST, OUTCOMES, RECORD, Call, Ring
from nicegold_ops.telemetry.tally import Totals, fold
from nicegold_ops.telemetry.watch import TRADING, Implementation, Watch

#: A record as six words.
_Words = npt.NDArray[np.uint64]
_NONE: _Words = np.empty((0, 6), dtype="<u8")
_TAG, _CAUSE, _START, _END, _SEQUENCE = 0, 1, 2, 3, 5
#: The tag's byte that says that a call is in hand, which is about the next call in its slot.
_WITHOUT_IN_HAND = np.uint64(0xFFFF_FFFF_FFFF_FF00)


class Cycle(msgspec.Struct, frozen=True, tag_field="line", tag=True):
    """The calls that the input of the number *cause* led to, by their start."""

    cause: int
    calls: list[Call]


class Count(msgspec.Struct, frozen=True, tag_field="line", tag=True):
    """The calls *first* to *last* of one implementation: how they went, and SHA-256 of their records.

    *missed* of them were written over before they were read, and are in no digest. *nanoseconds* is the time
    spent in all.
    """

    hook: str
    plugin: str
    first: int
    last: int
    missed: int
    success: int
    vetoed: int
    error: int
    nanoseconds: int
    sha256: str


class Cycles:
    """Reads the records of *watch*. *utc* makes ns UTC of the recorder's clock.

    One cycle in *every* is kept (none for 0), and each in which a call took longer than *budget* seconds.
    One thread reads.
    """

    def __init__(
        self, watch: Watch, utc: Callable[[float], int], *, every: int = 0, budget: float = float("inf")
    ) -> None:
        self._watch = watch
        self._utc = utc
        self._every = every
        self._budget = budget
        self._streams: list[_Stream] = []

    @property
    def missed(self) -> int:
        """Calls that were written over before they were read."""
        return sum(each.missed for each in self._streams)

    def take(self, done: int, wanted: Collection[int] = (), *, thoroughly: bool = False) -> list[Cycle]:
        """The cycles up to the input *done*, which is over, that are kept, by their cause.

        Those of *wanted* are kept also where no call was made. *thoroughly* looks also where nothing new is
        expected.
        """
        new = [(each, each.take(done, thoroughly=thoroughly)) for each in self._known()]
        made = [(stream, records) for stream, records in new if stream.is_trading and len(records)]
        kept = set(wanted) | {cause for _, records in made for cause in self._noticed(records)}
        calls: dict[int, list[Call]] = {cause: [] for cause in sorted(kept)}
        for stream, records in made:
            for call in self._calls(stream.implementation, records, kept):
                calls[call.cause].append(call)
        return [Cycle(cause, sorted(found, key=_start_of)) for cause, found in calls.items()]

    def counts(self) -> list[Count]:
        """What was read since this was last asked, by implementation."""
        return [count for each in self._streams if (count := each.count()) is not None]

    def _known(self) -> list[_Stream]:
        """All implementations; some are watched only when they are first called."""
        for implementation in self._watch.implementations[len(self._streams) :]:
            self._streams.append(_Stream(implementation))
        return self._streams

    def _noticed(self, records: _Words) -> Iterable[int]:
        """The causes of *records* that are kept for what these are."""
        causes = records[:, _CAUSE]
        times = records.view("<f8")
        noticed = times[:, _END] - times[:, _START] > self._budget
        if self._every:
            noticed |= causes % np.uint64(self._every) == 0
        found: list[int] = np.unique(causes[noticed]).tolist()
        return found

    def _calls(self, whose: Implementation, records: _Words, kept: Collection[int]) -> Iterable[Call]:
        if not kept:
            return
        wanted = records[np.isin(records[:, _CAUSE], np.fromiter(kept, dtype="<u8"))]
        for tag, cause, start, end, sequence in RECORD.iter_unpack(wanted.tobytes()):
            yield Call(
                whose.hook,
                whose.plugin,
                sequence,
                cause,
                self._utc(start),
                round((end - start) * 1e9),
                OUTCOMES[tag >> 8 & 0xFF],
            )


class _Stream:
    """One implementation's records, each taken once."""

    def __init__(self, implementation: Implementation) -> None:
        self.implementation = implementation
        #: Calls on other threads are in no cycle: their cause is whatever was in hand.
        self.is_trading = implementation.hook in TRADING
        self.missed = 0
        self._laps: deque[bytes] = deque()
        implementation.laps = self._laps
        self._seen = 0
        self._counted = self._counted_missed = 0
        self._totals = Totals()
        self._digest = hashlib.sha256()

    def take(self, done: int, *, thoroughly: bool) -> _Words:
        """The records after those that were taken, of inputs up to *done*."""
        ring = self.implementation.ring
        if not (thoroughly or self._laps or _sequence_after(ring, self._seen) > self._seen):
            return _NONE
        # The ring before the laps: what it was full of in between is in a lap then.
        newest = ring.records()
        records = _in_order(b"".join([*self._laps, newest]), self._seen)
        if self.is_trading:
            records = records[: np.searchsorted(records[:, _CAUSE], np.uint64(done), side="right")]
        if len(records):
            self._note(records)
        return records

    def count(self) -> Count | None:
        """What was taken since this was last asked; None where nothing was."""
        if self._seen == self._counted:
            return None
        totals, digest = self._totals, self._digest
        first, missed = self._counted + 1, self.missed - self._counted_missed
        self._counted, self._counted_missed = self._seen, self.missed
        self._totals, self._digest = Totals(), hashlib.sha256()
        return Count(
            self.implementation.hook,
            self.implementation.plugin,
            first,
            self._seen,
            missed,
            totals.success,
            totals.vetoed,
            totals.error,
            totals.nanoseconds,
            digest.hexdigest(),
        )

    def _note(self, records: _Words) -> None:
        last = int(records[-1, _SEQUENCE])
        self.missed += last - self._seen - len(records)
        self._seen = last
        content = records.tobytes()
        self._digest.update(content)
        self._totals += fold(content)
        while self._laps and _last_sequence(self._laps[0]) <= last:
            self._laps.popleft()


def _in_order(content: bytes, after: int) -> _Words:
    """The records in *content* above the sequence *after*, each once, by their sequence."""
    records: _Words = np.frombuffer(content, dtype="<u8").reshape(-1, RECORD.size // 8)
    records = records[records[:, _SEQUENCE] > after]
    _, places = np.unique(records[:, _SEQUENCE], return_index=True)
    records = records[places]
    records[:, _TAG] &= _WITHOUT_IN_HAND
    return records


def _sequence_after(ring: Ring, sequence: int) -> int:
    """What is in the slot where the record after *sequence* goes; 0 where the recorder is closed."""
    if ring.buffer.closed:
        return 0
    place = FIRST + sequence % ring.names.capacity * RECORD.size
    found: int = RECORD.unpack_from(ring.buffer, place)[-1]
    return found


def _last_sequence(lap: bytes) -> int:
    found: int = RECORD.unpack_from(lap, len(lap) - RECORD.size)[-1]
    return found


def _start_of(call: Call) -> int:
    return call.start
