"""Reads the flight recorder while a session goes on, and tells what is worth telling.

On a thread of its own, which nobody waits for: a cycle that mattered goes on record beside the journal, and
to the trace store; a plugin's failure goes to where errors are sent. What follows from a cycle, and not how
long reading takes, decides whether it is kept.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from nicegold import Bar, Event, Finished, Quote, Reconciled, Snapshot, Started, Swap
from nicegold_ops.calls import CallLog
from nicegold_ops.telemetry.beside import NOTHING, BesideLog
from nicegold_ops.telemetry.cycles import Cycles

if TYPE_CHECKING:
    from nicegold_ops.telemetry.errors import Errors
    from nicegold_ops.telemetry.story import Story
    from nicegold_ops.telemetry.tracer import Tracer

#: Of these nothing follows that somebody would look for.
_COMMON = frozenset({Bar, Quote, Swap, Snapshot, Reconciled, Started, Finished})
#: Seconds between two looks: a ring laps in 40 ms at the fastest, and sixteen laps wait.
_EACH = 0.1
#: Looks between two counts of all calls.
_COUNT_EACH = 600
#: Events that wait for a look.
_MOST = 100_000


class Witness:
    """Looks through *cycles*. *cause* is the cell with the number of the input in hand.

    *log* gets the cycles in which something was told, or a call took longer than *budget* seconds; *tracer*,
    where there is a trace store, these and those that are kept as a sample, with what *beside* has of them;
    *errors* and *story* what was told.
    """

    def __init__(
        self,
        cycles: Cycles,
        cause: list[int],
        log: CallLog,
        *,
        budget: float,
        tracer: Tracer | None = None,
        errors: Errors | None = None,
        beside: BesideLog | None = None,
        story: Story | None = None,
    ) -> None:
        #: Notes what is done beside the calls, where there is a trace store.
        self.beside = beside
        #: Looks that failed; events that were told when too many waited.
        self.failed = self.unheard = 0
        self._cycles = cycles
        self._cause = cause
        self._log = log
        self._budget = round(budget * 1e9)
        self._tracer = tracer
        self._errors = errors
        self._story = story
        self._told: deque[tuple[int, Event]] = deque()
        self._rested = 0
        self._looks = 0
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    # On the trading thread.

    def hear(self, event: Event) -> None:
        """*event* was told; keep the cycle in hand if it matters."""
        if self._thread is None or type(event) in _COMMON:
            return
        if len(self._told) < _MOST:
            self._told.append((self._cause[0], event))
        else:
            self.unheard += 1

    def rest(self) -> None:
        """Nothing is in hand."""
        self._rested = self._cause[0]

    # On its own.

    def start(self) -> None:
        """Look now and then until `close`."""
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)
        self._thread.start()
        if self._tracer is not None:
            self._tracer.start()

    def close(self) -> None:
        """Look once more, at all that there is; the trading thread must rest. Then nothing is heard."""
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        self._thread = None
        self.rest()
        self._look(thoroughly=True)
        self._count()
        self._log.close()
        if self._tracer is not None:
            self._tracer.close()

    def _run(self) -> None:
        while not self._stop.wait(_EACH):
            self._look()
            self._looks += 1
            if self._looks % _COUNT_EACH == 0:
                self._count()

    def _look(self, *, thoroughly: bool = False) -> None:
        try:
            # Before anything is read: what these led to is in the recorder by now.
            done = max(self._cause[0] - 1, self._rested)
            told = self._told_until(done)
            if self._errors is not None:
                for cause, events in told.items():
                    self._errors.tell(cause, events)
            if self._story is not None:
                self._story.tell(told)
            beside = {} if self.beside is None else self.beside.until(done)
            for cycle in self._cycles.take(done, told, thoroughly=thoroughly):
                if cycle.cause in told or any(call.duration > self._budget for call in cycle.calls):
                    self._log.put(cycle)
                if self._tracer is not None:
                    self._tracer.tell(cycle, told.get(cycle.cause, []), beside.get(cycle.cause, NOTHING))
        except Exception:
            self.failed += 1

    def _told_until(self, done: int) -> dict[int, list[Event]]:
        """What was told up to the input *done*, by its cause."""
        told: dict[int, list[Event]] = {}
        while self._told and self._told[0][0] <= done:
            cause, event = self._told.popleft()
            told.setdefault(cause, []).append(event)
        return told

    def _count(self) -> None:
        for count in self._cycles.counts():
            self._log.put(count)
