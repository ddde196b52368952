"""The flight recorder's reader on any bytes: a damaged file, or a file of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from nicegold_ops.telemetry import flight
from nicegold_ops.telemetry.flight import FlightRecorder, NoFlight
from tests.fuzz.damage import damaged, damages
from tests.fuzz.law import check_said

#: What the first byte says that the rest is.
_DAMAGE, _FILE = range(2)


def seeds() -> Iterator[bytes]:
    """Damages of a sound recorder, and what is none."""
    yield from (bytes([_DAMAGE]) + each for each in damages(len(_sound())))
    yield bytes([_FILE]) + _sound()[:200]


def check(content: bytes, folder: Path) -> None:
    """Raise AssertionError if what *content* says, put into *folder*, is neither a flight nor refused."""
    what, rest = (content[0] % 2 if content else _FILE), content[1:]
    path = folder / "flight.recorder"
    path.write_bytes(damaged(_sound(), rest) if what == _DAMAGE else rest)
    try:
        found = flight.read(path)
    except NoFlight as error:
        check_said(error, str(path))
        return
    found.last(5)
    assert all(call.outcome in flight.OUTCOMES.values() for call in found.calls)


@cache
def _sound() -> bytes:
    """Two rings, one of them full."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "flight.recorder"
        recorder = FlightRecorder(path, "made-up", wall=lambda: 10**18, clock=lambda: 0.0)
        for hook in ("on_bar", "check_order"):
            ring = recorder.ring(hook, "cross", 4)
            for number in range(5 if hook == "on_bar" else 2):
                place = flight.FIRST + number % 4 * flight.RECORD.size
                record = (ring.tag(flight.SUCCESS), 9, number / 1e6, (number + 1) / 1e6, number + 1)
                flight.RECORD.pack_into(ring.buffer, place, *record)
        recorder.close()
        return path.read_bytes()
