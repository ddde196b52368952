"""A race counts only between engines that did the same work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import peers
from tests.bench.peers import OURS, PEERS, Peer, PeerFailed, Result, disagreements

NAUTILUS = "nautilus_trader"


def result(peer: str = OURS, fills: int = 781, equity: float = 998_483.70, cpu: float = 1.0) -> Result:
    return Result(peer, cpu, cpu, fills, equity, 100.0, 50.0)


def test_engines_that_agree_to_the_cent_disagree_on_nothing():
    results = [result(), result("backtrader"), result("backtesting.py", equity=998_483.704)]

    assert [] == disagreements(results, 20_000, gap=True)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (result("backtrader", fills=780), "backtrader fills 780 times, not 781"),
        (result("backtrader", equity=998_483.72), "backtrader ends on 998,483.72, not on 998,483.70"),
        (result("backtrader", equity=float("nan")), "backtrader ends on nan, not on 998,483.70"),
        (result(OURS, equity=998_496.79), "nicegold ends on 998,496.79, not on 998,483.70"),
    ],
)
def test_what_differs_is_said(other, said):
    assert [said] == disagreements([result(), other], 20_000, gap=True)


def test_a_published_size_is_held_to_what_was_published():
    results = [result(fills=1, equity=2.0)]

    assert ["nicegold fills 1 times, not 3,959", "nicegold ends on 2.00, not on 991,592.03"] == disagreements(
        results, 100_000, gap=False
    )
    assert [] == disagreements(results, 99_999, gap=False)


def test_half_a_cent_a_fill_is_excused_where_fees_are_whole_cents():
    near, far = (result(NAUTILUS, 783, 998_153.93 + cents) for cents in (3.9, 4.0))

    assert [] == disagreements([result(fills=783, equity=998_153.93), near], 20_000, gap=False)
    assert 1 == len(disagreements([result(fills=783, equity=998_153.93), far], 20_000, gap=False))


def test_who_fills_at_the_close_may_end_elsewhere_only_with_gaps_and_must_fill_as_often():
    at_close = result(NAUTILUS, 781, 998_496.79)

    assert [] == disagreements([result(), at_close], 20_000, gap=True)
    assert 1 == len(disagreements([result(), result(NAUTILUS, 782)], 20_000, gap=True))
    assert ["nautilus_trader ends on 998,496.79, not on 998,153.93"] == disagreements(
        [result(OURS, 781, 998_153.93), at_close], 20_000, gap=False
    )[-1:]


def test_we_run_before_and_after_each_engine_that_we_are_held_against():
    loop, fast, slow = (Peer(name, "", needed=needed) for name, needed in (("l", 0), ("f", 2), ("s", 9)))
    ours = next(peer for peer in PEERS if peer.name == OURS)

    assert [loop, ours, fast, ours, slow, ours] == peers.turns([loop, ours, fast, slow])


def test_a_peer_whose_script_is_absent_is_left_out_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "SCRIPTS", tmp_path)

    reasons = peers.left_out(PEERS)

    assert {peer.name for peer in PEERS if not peer.is_ours} == set(reasons)
    assert f"there is no {tmp_path / 'backtrader_peer.py'}" == reasons["backtrader"]


def test_an_environment_that_cannot_be_made_leaves_its_peer_out_and_nothing_behind(tmp_path, monkeypatch):
    for constant in ("HOME", "PINS", "SCRIPTS"):
        monkeypatch.setattr(peers, constant, tmp_path)
    (tmp_path / "broken.txt").write_text("no such requirement\n")
    (tmp_path / "broken_peer.py").touch()

    reasons = peers.left_out([Peer("broken", "broken_peer.py", environment="broken")])

    assert "its environment cannot be made" in reasons["broken"]
    assert not (tmp_path / "broken").exists()


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.environment], ids=lambda peer: peer.name)
def test_each_peer_has_its_version_pinned_and_all_that_it_needs(peer):
    pins = (peers.PINS / f"{peer.environment}.txt").read_text().split()

    assert peers.pinned(peer)
    assert [] == [pin for pin in pins if pin.count("==") != 1]


LINE = {"cpu_seconds": 1, "seconds": 2, "trades": 3, "final_equity": 4, "peak_mb": 5, "base_mb": 6}


def test_another_version_than_the_pinned_is_no_result():
    backtrader = next(peer for peer in PEERS if peer.name == "backtrader")

    with pytest.raises(PeerFailed, match=r"backtrader is 1\.0 and this bench is about 1\.9"):
        peers.result_of(backtrader, {**LINE, "version": "1.0"})


def test_a_journal_that_lacks_a_fill_is_no_result():
    ours = next(peer for peer in PEERS if peer.name == OURS)

    with pytest.raises(PeerFailed, match="nicegold made 3 fills, and 2 are on its journal"):
        peers.result_of(ours, {**LINE, "version": "1", "trades_on_journal": 2})


DATA = """
import json
class Clock:
    def __enter__(self): return self
    def __exit__(self, *failure): self.total = 1.0
def emit(name, bars, clock, fills, equity, base, version="", **more):
    print(json.dumps(dict(name=name, bars=bars, seconds=clock.total, version=version, **more)))
"""
SCRIPT = """
import sys, time
from data import *
with Clock() as clock:
    until = time.process_time() + 0.05
    while time.process_time() < until: pass
    time.sleep(0.05)
emit("idle", int(sys.argv[1]), clock, 1, 2.0, 3.0, "4.5", calls=6)
"""


def test_a_peers_line_gets_the_processors_time(tmp_path):
    (tmp_path / "data.py").write_text(DATA)
    (tmp_path / "idle_peer.py").write_text(SCRIPT)

    done = subprocess.run(
        [sys.executable, Path(peers.__file__).with_name("timed.py"), tmp_path / "idle_peer.py", "7"],
        capture_output=True,
        text=True,
        check=True,
    )

    line = json.loads(done.stdout)
    assert 0.05 <= line.pop("cpu_seconds") < 0.1
    assert {"name": "idle", "bars": 7, "seconds": 1.0, "version": "4.5", "calls": 6} == line
