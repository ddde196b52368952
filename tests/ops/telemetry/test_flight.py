from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nicegold_ops.telemetry import flight
from nicegold_ops.telemetry.flight import FlightError, FlightRecorder, NoFlight, Ring, Unfinished, read
from tests.ops.telemetry.twins import PYTHON, TWINS, clock_of

#: ns UTC when the recorder's clock shows 0.
MIDNIGHT = 1_767_571_200_000_000_000


def recorder(path: Path) -> FlightRecorder:
    return FlightRecorder(path, "run-7", wall=lambda: MIDNIGHT, clock=lambda: 0.0)


def write(ring: Ring, sequence: int, start: int = 0, end: int = 0, outcome: int = flight.SUCCESS) -> None:
    """The record of a call from *start* to *end*, ns."""
    place = flight.FIRST + (sequence - 1) % ring.names.capacity * flight.RECORD.size
    flight.RECORD.pack_into(ring.buffer, place, ring.tag(outcome), 9, start / 1e9, end / 1e9, sequence)


def test_what_was_recorded_can_be_read_with_nothing_but_the_file(tmp_path):
    path = tmp_path / "flight"
    rings = recorder(path)
    write(rings.ring("on_bar", "cross", 8), 1, start=1_000, end=4_500)
    write(rings.ring("check_order", "limit", 8), 1, start=2_000, end=2_700, outcome=flight.VETOED)

    found = read(path)

    assert "run-7" == found.run
    assert [
        flight.Call("on_bar", "cross", 1, 9, MIDNIGHT + 1_000, 3_500, "success"),
        flight.Call("check_order", "limit", 1, 9, MIDNIGHT + 2_000, 700, "vetoed"),
    ] == found.calls
    assert [] == found.unfinished


def test_a_full_ring_keeps_the_newest_calls(tmp_path):
    ring = recorder(tmp_path / "flight").ring("on_bar", "cross", 4)
    for sequence in range(1, 11):
        write(ring, sequence, start=sequence)

    found = read(tmp_path / "flight")

    # The oldest of a full ring is the one that a kill would have caught half-overwritten.
    assert [8, 9, 10] == [call.sequence for call in found.calls]


def test_a_plugin_called_once_is_not_pushed_out_by_one_called_all_the_time(tmp_path):
    rings = recorder(tmp_path / "flight")
    write(rings.ring("place_order", "venue", 4), 1)
    busy = rings.ring("on_bar", "venue", 4)
    for sequence in range(1, 100):
        write(busy, sequence, start=sequence)

    last = read(tmp_path / "flight").last(2)

    assert [("place_order", 1), ("on_bar", 98), ("on_bar", 99)] == [
        (call.hook, call.sequence) for call in last["venue"]
    ]


# Of the record's 48 bytes, those before the sequence: with its first byte this small record is whole.
@pytest.mark.parametrize("written", range(41))
def test_a_record_that_a_kill_left_half_written_is_not_believed(tmp_path, written):
    ring = recorder(tmp_path / "flight").ring("on_bar", "cross", 4)
    for sequence in range(1, 7):
        write(ring, sequence, start=sequence)
    before = ring.records()
    write(ring, 7, start=7)
    slot = slice(2 * flight.RECORD.size, 3 * flight.RECORD.size)
    torn = ring.records()[slot][:written] + before[slot][written:]
    ring.buffer[flight.FIRST + slot.start : flight.FIRST + slot.stop] = torn

    found = read(tmp_path / "flight")

    assert [4, 5, 6] == [call.sequence for call in found.calls]


def test_a_call_in_hand_is_told_and_its_slot_not_believed(tmp_path):
    ring = recorder(tmp_path / "flight").ring("on_bar", "cross", 4)
    write(ring, 1)
    ring.buffer[flight.FIRST + flight.RECORD.size] = flight.IN_HAND

    found = read(tmp_path / "flight")

    assert [Unfinished("on_bar", "cross")] == found.unfinished
    assert [1] == [call.sequence for call in found.calls]


def test_closing_leaves_a_file_that_can_be_read(tmp_path):
    rings = recorder(tmp_path / "flight")
    write(rings.ring("on_bar", "cross", 4), 1)
    rings.close()
    rings.close()

    assert 1 == len(read(tmp_path / "flight").calls)


def test_a_ring_that_was_being_added_when_the_process_died_is_left_out(tmp_path):
    path = tmp_path / "flight"
    write(recorder(path).ring("on_bar", "cross", 4), 1)
    with path.open("ab") as file:
        file.write(bytes(flight.PAGE))

    assert 1 == len(read(path).calls)


def test_a_ring_whose_title_is_damaged_is_not_left_out_silently(tmp_path):
    path = tmp_path / "flight"
    rings = recorder(path)
    first, second = rings.ring("on_bar", "cross", 4), rings.ring("on_bar", "limit", 4)
    write(first, 1)
    write(second, 1)
    rings.close()
    path.write_bytes(path.read_bytes().replace(b'"limit"', b'"lim\xffit"'))

    with pytest.raises(NoFlight, match="is damaged: no ring begins at byte 12288, and it goes on there"):
        read(path)


@pytest.mark.parametrize("capacity", [b"0", b"-4", b"null"])
def test_a_ring_without_room_is_damaged(capacity, tmp_path):
    path = tmp_path / "flight"
    recorder(path).ring("on_bar", "cross", 4)
    path.write_bytes(path.read_bytes().replace(b'"capacity":4}', b'"capacity":%b}' % capacity))

    with pytest.raises(NoFlight, match="is damaged"):
        read(path)


@pytest.mark.parametrize("time", [float("nan"), float("inf"), 1e300])
def test_a_record_with_a_time_that_no_clock_shows_is_not_believed(time, tmp_path):
    ring = recorder(tmp_path / "flight").ring("on_bar", "cross", 4)
    write(ring, 1)
    write(ring, 2, end=time)

    assert [1] == [call.sequence for call in read(tmp_path / "flight").calls]


def test_something_else_is_not_taken_for_a_flight_recorder(tmp_path):
    (tmp_path / "foreign").write_bytes(b"time,open,high,low,close\n" * 1000)

    with pytest.raises(NoFlight, match="foreign is not a flight recorder; each run writes one as flight"):
        read(tmp_path / "foreign")


@pytest.mark.parametrize("size", [0, 1, 11, 40])
def test_a_file_cut_within_its_first_page_is_not_a_flight_recorder(tmp_path, size):
    recorder(tmp_path / "flight")
    os.truncate(tmp_path / "flight", size)

    with pytest.raises(NoFlight, match="is not a flight recorder"):
        read(tmp_path / "flight")


def test_a_file_cut_short_says_which_calls_are_missing(tmp_path):
    recorder(tmp_path / "flight").ring("on_bar", "cross", 4096)
    os.truncate(tmp_path / "flight", 100_000)

    with pytest.raises(NoFlight, match=r"is cut short: cross\.on_bar should end at byte 204800"):
        read(tmp_path / "flight")


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(NoFlight, match="nothing: No such file or directory; each run writes one"):
        read(tmp_path / "nothing")


def test_a_form_of_another_day_is_refused(tmp_path):
    path = tmp_path / "flight"
    recorder(path)
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))

    with pytest.raises(NoFlight, match="was written in form 2; this nicegold reads form 1"):
        read(path)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(FlightError, match="cannot be written"):
        recorder(tmp_path / "file" / "flight")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full to stand for a full disk")
def test_a_full_disk_is_told_before_trading():
    with pytest.raises(FlightError, match=os.strerror(errno.ENOSPC)):
        recorder(Path("/dev/full"))


CHILD = """
import sys, time
from pathlib import Path
from nicegold_ops.telemetry import Telemetry

telemetry = Telemetry(Path(sys.argv[1]), "killed")
on_bar = telemetry.observe("on_bar", "cross", lambda bar, portfolio: None)
check = telemetry.observe("check_order", "limit", lambda order, portfolio: "too much")
place = telemetry.observe("place_order", "venue", lambda order: time.sleep(60) if order == "hang" else None)
place("once")
for number in range(20_000):
    telemetry.cause[0] = number
    on_bar(number, None)
    check(number, None)
print("ready", flush=True)
place("hang")
"""


def child_of(source: str, folder: Path, twin: str) -> subprocess.Popen[str]:
    """A process that runs *source* and has its calls watched in *twin*."""
    clock_of(twin, time.perf_counter)
    pure = {"NICEGOLD_PURE": "1" if twin == PYTHON else "0"}
    return subprocess.Popen(
        [sys.executable, "-c", source, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **pure},
    )


@pytest.mark.parametrize("twin", TWINS)
def test_after_sigkill_each_plugins_last_calls_are_there(tmp_path, twin):
    child = child_of(CHILD, tmp_path, twin)
    assert child.stdout is not None
    assert "ready\n" == child.stdout.readline()
    wait_until_in_hand(tmp_path / flight.FILE)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()

    found = read(tmp_path / flight.FILE)

    last = {plugin: calls[-1] for plugin, calls in found.last(1).items()}
    assert {"cross": 20_000, "limit": 20_000, "venue": 1} == {
        name: call.sequence for name, call in last.items()
    }
    assert {"cross": 19_999, "limit": 19_999, "venue": 0} == {name: call.cause for name, call in last.items()}
    assert {"cross": "success", "limit": "vetoed", "venue": "success"} == {
        name: call.outcome for name, call in last.items()
    }
    assert [Unfinished("place_order", "venue")] == found.unfinished


@pytest.mark.parametrize("twin", TWINS)
def test_a_kill_in_the_middle_of_the_work_leaves_whole_records(tmp_path, twin):
    source = CHILD.replace("range(20_000)", "iter(int, 1)").replace(
        "    check", "    print(flush=True)\n    check"
    )
    child = child_of(source, tmp_path, twin)
    assert child.stdout is not None
    for _ in range(2_000):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()

    found = read(tmp_path / flight.FILE)

    numbers = [call.sequence for call in found.calls if call.plugin == "cross"]
    assert list(range(numbers[0], numbers[-1] + 1)) == numbers
    assert 1_999 <= numbers[-1]
    assert all(0 <= call.duration < 10**10 for call in found.calls)


def wait_until_in_hand(path: Path) -> None:
    """The child says that it is ready just before the call that hangs."""
    for _ in range(500):
        if read(path).unfinished:
            return
        select.select([], [], [], 0.01)
    pytest.fail("the call never began")
