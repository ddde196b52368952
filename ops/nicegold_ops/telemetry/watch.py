"""The observe port: one record for each call of each implementation, and the same result.

A watched call reads the clock twice and writes one record; what is counted is read from the
records later (`tally`). Whatever goes wrong here is swallowed and counted: watching must never
break trading.

The call has two forms that write the same records: one in Python, written out below, and one in C
(`_watched.c`), for less than half of the cost. `native` decides.
"""

from __future__ import annotations

import inspect
import time
from collections import deque
from collections.abc import Callable
from textwrap import indent
from typing import TYPE_CHECKING, Any

from nicegold import pure
from nicegold.host import Call
from nicegold_ops.forks import lock
from nicegold_ops.telemetry import flight
from nicegold_ops.telemetry.flight import FlightRecorder, Ring
from nicegold_ops.telemetry.tally import Totals, fold

if TYPE_CHECKING:
    from nicegold_ops.telemetry._watched import Watched

#: These are called on the trading thread and nowhere else. Others may be called by several at once.
TRADING = frozenset(
    {
        "match_orders",
        "derive_market",
        "on_bar",
        "on_quote",
        "on_fill",
        "check_order",
        "check_portfolio",
        "place_order",
        "cancel_order",
        "replace_order",
        "on_event",
    }
)

#: An answer of these is an objection.
OBJECTING = frozenset({"check_order", "check_portfolio"})

#: Records a ring holds. A lap of the larger is folded in a tenth of a millisecond.
LAP, SHORT_LAP = 4096, 256
#: Full laps that wait for a reader that is behind; with more, it misses some, and can tell how many.
_LAPS = 16


def native(clock: Callable[[], float]) -> type[Watched] | None:
    """The watched call in C; None where Python's is to be used.

    That is: where NICEGOLD_PURE=1 asks for it, where *clock* is another than the one C looks at, and
    where nicegold was built without a C compiler.
    """
    is_ours = clock is time.perf_counter and time.get_clock_info("perf_counter").implementation == _CLOCK
    if not is_ours or pure.ASKED:
        return None
    try:
        from nicegold_ops.telemetry._watched import Watched
    except ImportError:
        return None
    return Watched


_CLOCK = "clock_gettime(CLOCK_MONOTONIC)"


class Implementation:
    """One plugin's implementation of one hook, and its records."""

    def __init__(self, ring: Ring) -> None:
        self.hook = ring.names.hook
        self.plugin = ring.names.plugin
        self.ring = ring
        self._folded = Totals()
        #: Full laps, oldest first, where somebody reads every record; he takes away what he has read.
        self.laps: deque[bytes] | None = None

    def lap(self) -> int:
        """Fold a full ring before it is written over; answers where its records begin again."""
        records = self.ring.records()
        self._folded += fold(records, self._folded.sequence)
        if self.laps is not None and len(self.laps) < _LAPS:
            self.laps.append(records)
        return flight.FIRST

    def totals(self) -> Totals:
        """What the calls so far add up to; from any thread.

        The writer may fold between our reading of the sum and of the records, which would count a
        lap twice or not at all; then the sum is another object, and we read again.
        """
        while True:
            folded = self._folded
            records = self.ring.records()
            if folded is self._folded:
                return folded + fold(records, folded.sequence)

    def settle(self) -> None:
        """Keep the totals beyond the ring's closing."""
        self._folded = self.totals()


class Watch:
    """Makes watched calls that write to *recorder*.

    *cause* is the cell that holds the journal's number of the input in hand. *clock* is the
    recorder's, s.
    """

    def __init__(self, recorder: FlightRecorder, cause: list[int], clock: Callable[[], float]) -> None:
        self.implementations: list[Implementation] = []
        #: Failures of the watching itself.
        self.errors = 0
        self._recorder = recorder
        self._cause = cause
        self._native = native(clock)
        self._written: dict[str, Callable[..., Call]] = {}
        self._names: dict[str, Any] = {
            "FIRST": flight.FIRST,
            "IN_HAND": flight.IN_HAND,
            "SIZE": flight.RECORD.size,
            "broken": self._broken,
            "cause": cause,
            "clock": clock,
            "pack_into": flight.RECORD.pack_into,
        }

    def observe(self, hook: str, plugin: str, call: Call) -> Call:
        """The call to make in place of *call*: same positional arguments, same result or exception."""
        ring = self._recorder.ring(hook, plugin, LAP if hook in TRADING else SHORT_LAP)
        implementation = Implementation(ring)
        self.implementations.append(implementation)
        # The turns that calls from several threads take are not worth writing in C: such calls are few.
        if self._native is None or hook not in TRADING:
            return self._in_python(implementation, call)
        return self._in_c(self._native, implementation, call)

    def close(self) -> None:
        """Keep what the calls added up to; after this a call is made and not recorded."""
        for implementation in self.implementations:
            implementation.settle()

    def _broken(self) -> None:
        self.errors += 1

    def _in_c(self, make: type[Watched], implementation: Implementation, call: Call) -> Call:
        ring = implementation.ring
        return make(
            call,
            ring.buffer,
            flight.FIRST,
            ring.last,
            ring.tag(flight.SUCCESS),
            ring.tag(flight.VETOED if implementation.hook in OBJECTING else flight.SUCCESS),
            ring.tag(flight.ERROR),
            self._cause,
            implementation.lap,
            self._broken,
        )

    def _in_python(self, implementation: Implementation, call: Call) -> Call:
        ring = implementation.ring
        watched: Call = self._compiled(implementation.hook, call)(
            call,
            ring.buffer,
            ring.last,
            ring.tag(flight.SUCCESS),
            ring.tag(flight.VETOED),
            ring.tag(flight.ERROR),
            implementation.lap,
            lock(),
        )
        return watched

    def _compiled(self, hook: str, call: Call) -> Callable[..., Call]:
        source = _source(_arguments(call), alone=hook in TRADING, objects=hook in OBJECTING)
        # Calls of one form share their code, which then is in the processor's caches more often.
        if source not in self._written:
            # Only our own text and argument names made of numbers are in the source.
            exec(compile(source, "<watched>", "exec"), self._names)  # noqa: S102
            self._written[source] = self._names["watch"]
        return self._written[source]


def _arguments(call: Call) -> str:
    """The positional arguments that *call* takes, by number; all that come where that is not plain."""
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return "*arguments"
    plain = all(each.kind <= each.POSITIONAL_OR_KEYWORD and each.default is each.empty for each in parameters)
    return ", ".join(f"argument_{number}" for number in range(len(parameters))) if plain else "*arguments"


def _source(arguments: str, *, alone: bool, objects: bool) -> str:
    """The watched call, written out for its arguments and its hook.

    Taking `*arguments` and calling functions for what is written out here would cost half as much
    again. *alone* means that one thread makes the calls; else beginning and recording wait their turn.
    """
    return _CALL.format(
        arguments=arguments,
        begin=_inside(_BEGIN if alone else _in_turn(_BEGIN)),
        record=_inside(_RECORD if alone else _in_turn(_RECORD)),
        objection=_inside(_OBJECTION) if objects else "",
        success=_inside(_RECORD.replace("tag", "success") if alone else "record(success, start)"),
    )


def _inside(lines: str) -> str:
    return indent(lines, " " * 8)


def _in_turn(lines: str) -> str:
    return "with turn:\n" + indent(lines, " " * 4)


_CALL = """
def watch(call, ring, last, success, vetoed, error, lap, turn):
    at, sequence = FIRST, 0

    def record(tag, start):
        nonlocal at, sequence
{record}

    def watched({arguments}):
        nonlocal at, sequence
{begin}
        try:
            answer = call({arguments})
        except BaseException:
            record(error, start)
            raise
{objection}
{success}
        return answer

    return watched
"""

# A start of None, from broken(), cannot be packed: no record is made, and that is counted too.
_BEGIN = """\
try:
    ring[at] = IN_HAND
    start = clock()
except Exception:
    start = broken()
"""

_RECORD = """\
try:
    sequence += 1
    pack_into(ring, at, tag, cause[0], start, clock(), sequence)
    at = at + SIZE if at < last else lap()
except Exception:
    broken()
"""

_OBJECTION = """\
if answer is not None:
    record(vetoed, start)
    return answer
"""
