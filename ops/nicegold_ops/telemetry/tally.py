"""What an implementation's calls add up to: a reading of its records.

Nothing is counted while a call is made. The record of the call is enough, and reading four
thousand of them at once costs a fifth of counting each when it comes.
"""

from __future__ import annotations

from operator import add

import msgspec
import numpy as np

from nicegold_ops.telemetry.flight import ERROR, RECORD, SUCCESS, VETOED

#: ns. Renard's R10 from 100 ns to 5 s: each bound at most 1.27 times the one before, so that a
#: percentile read between two of them is not far off.
BOUNDS = tuple(
    round(step * 10**decade) for decade in range(2, 10) for step in (1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8)
)[:78]

_LE = np.array(BOUNDS, dtype="<i8")
#: The bucket of each duration below 16 µs, as most are: looking it up costs a tenth of searching for it.
_SHORT = np.searchsorted(_LE, np.arange(1 << 14)).astype("<i8")
_LAYOUT = np.dtype(
    {
        "names": ["outcome", "start", "end", "sequence"],
        "formats": ["u1", "<f8", "<f8", "<u8"],
        "offsets": [1, 16, 24, 40],
        "itemsize": RECORD.size,
    }
)


class Totals(msgspec.Struct, frozen=True):
    """Calls by outcome and by duration, since the run began.

    *buckets* counts the calls that took at most each of BOUNDS and more than the one before, then
    those that took longer. *nanoseconds* is the time spent in all. *ended* is when the newest call
    ended, *succeeded* when the newest success did: s of the recorder's clock, 0 before the first.
    *sequence* is the newest call's number.
    """

    success: int = 0
    vetoed: int = 0
    error: int = 0
    buckets: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    nanoseconds: int = 0
    ended: float = 0.0
    succeeded: float = 0.0
    sequence: int = 0

    @property
    def calls(self) -> int:
        """All of them, whatever they came to."""
        return sum(self.buckets)

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.success + other.success,
            self.vetoed + other.vetoed,
            self.error + other.error,
            tuple(map(add, self.buckets, other.buckets)),
            self.nanoseconds + other.nanoseconds,
            max(self.ended, other.ended),
            max(self.succeeded, other.succeeded),
            max(self.sequence, other.sequence),
        )

    def quantile(self, share: float) -> float:
        """Seconds that *share* of the calls took at most; 0 before the first call.

        Calls are taken to be spread evenly between the two bounds they fell between, as
        Prometheus's `histogram_quantile` takes them. Beyond 5 s the answer is 5.
        """
        rank = share * self.calls
        below, lower = 0, 0
        for count, upper in zip(self.buckets, BOUNDS, strict=False):
            if count and below + count >= rank:
                return float(lower + (upper - lower) * (rank - below) / count) / 1e9
            below, lower = below + count, upper
        return lower / 1e9 if self.calls else 0.0


def fold(records: bytes, after: int = 0) -> Totals:
    """What the *records* with a sequence above *after* add up to."""
    calls = np.frombuffer(records, _LAYOUT)
    if after or not calls["sequence"].all():
        calls = calls[calls["sequence"] > after]
    if not len(calls):
        return Totals()
    durations = np.rint((calls["end"] - calls["start"]) * 1e9).astype("<i8")
    outcomes = np.bincount(calls["outcome"], minlength=ERROR + 1).tolist()
    return Totals(
        outcomes[SUCCESS],
        outcomes[VETOED],
        outcomes[ERROR],
        tuple(np.bincount(_buckets(durations), minlength=len(BOUNDS) + 1).tolist()),
        int(durations.sum()),
        float(calls["end"].max()),
        float(calls["end"].max(where=calls["outcome"] == SUCCESS, initial=0.0)),
        int(calls["sequence"].max()),
    )


def _buckets(
    durations: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The number of the bucket that each of *durations* (ns) falls into."""
    buckets = _SHORT[np.clip(durations, 0, len(_SHORT) - 1)]
    long = durations >= len(_SHORT)
    if long.any():
        buckets[long] = np.searchsorted(_LE, durations[long])
    return buckets
