"""The black box: the last calls of every plugin, in a file that survives a killed process.

Each implementation has a memory-mapped ring of its own, so a plugin that is called once a day is
not pushed out by one that is called on every tick, and nobody shares a counter. The file explains
itself: a reader needs nothing else. It survives SIGKILL, not the loss of power.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from nicegold_ops.errors import DataError, NicegoldError
from nicegold_ops.forks import forgets

#: Tag, cause, start, end, sequence. The sequence is written last, see `_believed`. The times are
#: seconds in doubles: they cost a tenth of a call less than whole nanoseconds, and resolve them.
RECORD = struct.Struct("<QQdd8xQ")

#: The same bytes with the tag taken apart: in hand, outcome, hook, plugin.
_PARTS = struct.Struct("<BBHH2xQdd8xQ")

#: What a call came to; 0 is a slot that was never written.
SUCCESS, VETOED, ERROR = 1, 2, 3
OUTCOMES = {SUCCESS: "success", VETOED: "vetoed", ERROR: "error"}

#: Written over a slot's first byte when a call begins; the record that ends the call clears it.
IN_HAND = 1

PAGE = mmap.ALLOCATIONGRANULARITY

#: Records start here in a ring; its names are in the page before.
FIRST = PAGE

_VERSION = 1
_MAGIC = b"nicegold"
_TITLE = struct.Struct("<8sI")

#: Seconds that no clock shows: a record with more, or with NaN, is damaged.
_LONGEST = 1e10

#: The recorder's file in a run's folder.
FILE = "flight.recorder"


class FlightError(NicegoldError):
    """The flight recorder cannot be written."""


class NoFlight(DataError):
    """What was to be read is not a whole flight recorder."""


class Header(msgspec.Struct, frozen=True):
    """The first page: which run this is, and what its *clock* showed (s) when it was *wall* (ns UTC)."""

    version: int
    page: Annotated[int, msgspec.Meta(gt=0)]
    record_size: int
    run: str
    wall: int
    clock: Annotated[float, msgspec.Meta(gt=-_LONGEST, lt=_LONGEST)]

    def utc(self, clock: float) -> int:
        """ns UTC when the clock showed *clock* s."""
        return self.wall + round((clock - self.clock) * 1e9)


class Names(msgspec.Struct, frozen=True):
    """The page before a ring: whose calls it holds, and how many."""

    hook: str
    plugin: str
    hook_number: int
    plugin_number: int
    capacity: Annotated[int, msgspec.Meta(gt=0)]


class Call(msgspec.Struct, frozen=True):
    """One call that ended. *sequence* counts the calls of this implementation, from 1.

    *cause* is the journal's number of the input that was being handled. *start* is ns UTC by the
    clock at the run's start, *duration* ns. *outcome* is success, vetoed or error.
    """

    hook: str
    plugin: str
    sequence: int
    cause: int
    start: int
    duration: int
    outcome: str


class Unfinished(msgspec.Struct, frozen=True):
    """A call that had begun when the process died, or when it was looked at."""

    hook: str
    plugin: str


class Flight(msgspec.Struct, frozen=True):
    """What a flight recorder holds: *calls* by their start, and what was in hand."""

    run: str
    calls: list[Call]
    unfinished: list[Unfinished]

    def last(self, count: int) -> dict[str, list[Call]]:
        """The last *count* calls of each hook of each plugin, by plugin, oldest first."""
        hooks: dict[tuple[str, str], list[Call]] = {}
        for call in self.calls:
            hooks.setdefault((call.plugin, call.hook), []).append(call)
        plugins: dict[str, list[Call]] = {}
        for (plugin, _), calls in hooks.items():
            plugins.setdefault(plugin, []).extend(calls[-count:])
        return {plugin: sorted(calls, key=_start_of) for plugin, calls in plugins.items()}


class Ring:
    """The records of one implementation. One writer: whoever writes keeps the place and the count."""

    def __init__(self, names: Names, buffer: mmap.mmap) -> None:
        self.names = names
        self.buffer = buffer
        #: Where the last slot of a lap begins.
        self.last = FIRST + (names.capacity - 1) * RECORD.size

    def tag(self, outcome: int) -> int:
        """The first word of a record: not in hand, *outcome*, whose."""
        return outcome << 8 | self.names.hook_number << 16 | self.names.plugin_number << 32

    def records(self) -> bytes:
        """All slots as they are now; nothing once the recorder is closed.

        Safe from any thread: copying out and packing in are one C call each, under the interpreter
        lock, so no record is seen half-written from inside the process.
        """
        return b"" if self.buffer.closed else self.buffer[FIRST : self.last + RECORD.size]


class FlightRecorder:
    """Makes the file *path* and a ring in it for each implementation.

    *wall* tells ns UTC, *clock* s of a clock that never steps. Folders are made. Raises FlightError
    when the file cannot be made or has no room.
    """

    def __init__(self, path: Path, run: str, wall: Callable[[], int], clock: Callable[[], float]) -> None:
        self.path = path
        self._rings: list[Ring] = []
        self._hooks: dict[str, int] = {}
        self._plugins: dict[str, int] = {}
        self._header = header = Header(_VERSION, PAGE, RECORD.size, run, wall(), clock())
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            _write(self._file, _title_page(header), 0)
        self._end = PAGE
        forgets(self)

    def ring(self, hook: str, plugin: str, capacity: int) -> Ring:
        """Room for the last *capacity* calls of *plugin*'s *hook*."""
        names = Names(hook, plugin, _number(self._hooks, hook), _number(self._plugins, plugin), capacity)
        with _explained(self.path):
            ring = Ring(names, self._room(_title_page(names), _ring_size(capacity)))
        self._rings.append(ring)
        return ring

    def utc(self, clock: float) -> int:
        """ns UTC when the clock showed *clock* s."""
        return self._header.utc(clock)

    def seconds(self, clock: float) -> float:
        """s UTC when the clock showed *clock* s; 0 for 0, which is never."""
        return self._header.utc(clock) / 1e9 if clock else 0.0

    def close(self) -> None:
        """Let go of the file; it stays readable."""
        for ring in self._rings:
            ring.buffer.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def forget(self) -> None:
        """The rings are our parent's: what we call from now on is not recorded."""
        self.close()

    def _room(self, title: bytes, size: int) -> mmap.mmap:
        # Zeros are written, not left as a hole: a hole that finds the disk full later is a SIGBUS
        # in the middle of trading; here it is an error before it.
        _write(self._file, bytes(size), self._end)
        _write(self._file, title, self._end)
        buffer = mmap.mmap(self._file, size, offset=self._end)
        self._end += size
        return buffer


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """The system's errors as one that names the file and the way out."""
    try:
        yield
    except OSError as error:
        raise FlightError(
            f"{path}: the flight recorder cannot be written ({error.strerror}); "
            "make room there or choose another state folder"
        ) from error


def _write(file: int, content: bytes, place: int) -> None:
    """All of *content*; the system may take it in parts."""
    while content:
        written = os.pwrite(file, content, place)
        content, place = content[written:], place + written


def read(path: Path) -> Flight:
    """The calls that the flight recorder *path* holds, whether its writer lives or was killed.

    Raises NoFlight when there is no such file, or it is something else, cut short or damaged.
    """
    try:
        # Twice: a living writer may be halfway through a record during one reading, not during both.
        earlier, later = path.read_bytes(), path.read_bytes()
    except OSError as error:
        raise NoFlight(f"{path}: {error.strerror}; each run writes one in its folder") from None
    header = _header(path, earlier)
    calls: list[Call] = []
    unfinished: list[Unfinished] = []
    for names, begin, end in _rings(path, header, earlier):
        slots = _steady_slots(earlier[begin:end], later[begin:end])
        parts = [_PARTS.unpack(slot) for slot in slots]
        calls += (_call(header, names, part) for part in _believed(parts, names.capacity))
        unfinished += (Unfinished(names.hook, names.plugin) for in_hand, *_ in parts if in_hand == IN_HAND)
    calls.sort(key=_start_of)
    return Flight(header.run, calls, unfinished)


_Parts = tuple[int, int, int, int, int, float, float, int]


def _believed(parts: list[_Parts], capacity: int) -> list[_Parts]:
    """The whole records among *parts*, oldest first.

    A kill can come in the middle of a record. Only one slot can be caught by it: the one after the
    newest record. Because a record's sequence is its last field, that slot still shows 0 or the
    sequence of a lap ago, the oldest of all. So the oldest of a full ring is not believed, and
    neither is a slot whose call is in hand: nothing but its first byte is new.
    """
    newest = max((part[-1] for part in parts), default=0)
    whole = [
        part
        for part in parts
        if part[-1] > max(newest - capacity + 1, 0)
        and part[1] in OUTCOMES
        and part[0] != IN_HAND
        and abs(part[5]) < _LONGEST
        and abs(part[6]) < _LONGEST
    ]
    return sorted(whole, key=lambda part: part[-1])


def _call(header: Header, names: Names, parts: _Parts) -> Call:
    _, outcome, _, _, cause, start, end, sequence = parts
    duration = round((end - start) * 1e9)
    return Call(names.hook, names.plugin, sequence, cause, header.utc(start), duration, OUTCOMES[outcome])


def _start_of(call: Call) -> int:
    return call.start


def _steady_slots(earlier: bytes, later: bytes) -> Iterator[bytes]:
    for begin in range(0, len(earlier), RECORD.size):
        slot = earlier[begin : begin + RECORD.size]
        if slot == later[begin : begin + RECORD.size]:
            yield slot


def _header(path: Path, content: bytes) -> Header:
    header = _titled(content, 0, Header)
    if header is None:
        raise NoFlight(f"{path} is not a flight recorder; each run writes one as {FILE} in its folder")
    if (header.version, header.record_size) != (_VERSION, RECORD.size):
        raise NoFlight(f"{path} was written in form {header.version}; this nicegold reads form {_VERSION}")
    return header


def _rings(path: Path, header: Header, content: bytes) -> Iterator[tuple[Names, int, int]]:
    """Each ring's names and where its records begin and end."""
    place = header.page
    # A ring is zeroed before it is titled: one without a title was being added when the process died.
    while (names := _titled(content, place, Names)) is not None:
        begin = place + header.page
        end = begin + names.capacity * RECORD.size
        if end > len(content):
            raise NoFlight(f"{path} is cut short: {names.plugin}.{names.hook} should end at byte {end}")
        yield names, begin, end
        place += _ring_size(names.capacity, header.page)
    if any(content[place:]):
        raise NoFlight(f"{path} is damaged: no ring begins at byte {place}, and it goes on there")


def _ring_size(capacity: int, page: int = PAGE) -> int:
    """Bytes of a title page and *capacity* records, in whole pages."""
    return page + -(-capacity * RECORD.size // page) * page


def _number(numbers: dict[str, int], name: str) -> int:
    return numbers.setdefault(name, len(numbers) + 1)


def _title_page(title: Header | Names) -> bytes:
    """A page that says what follows, in words."""
    words = msgspec.json.encode(title)
    if len(words) > PAGE - _TITLE.size:
        raise FlightError(f"these names do not fit into a page of {PAGE} bytes: {words[:80].decode()}…")
    return (_TITLE.pack(_MAGIC, len(words)) + words).ljust(PAGE, b"\0")


Title = TypeVar("Title", Header, Names)


def _titled(content: bytes, place: int, kind: type[Title]) -> Title | None:
    """What the page at *place* says, if it is one of ours."""
    if len(content) < place + _TITLE.size:
        return None
    magic, length = _TITLE.unpack_from(content, place)
    begin = place + _TITLE.size
    if magic != _MAGIC:
        return None
    try:
        return msgspec.json.decode(content[begin : begin + length], type=kind)
    except ValueError:
        return None
