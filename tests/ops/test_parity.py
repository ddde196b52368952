"""Backtest, paper and replay are one engine: the same data give the same orders, fills and bytes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from nicegold import Event
from nicegold_ops.app import App, bootstrap
from nicegold_ops.config import load
from nicegold_ops.journal import Run, find_run, journal_path, open_journal, payloads, read
from nicegold_ops.report.result import Result, result_of
from nicegold_ops.session import backtest, paper, replay

pytestmark = pytest.mark.slow

CONFIGURATION = """
[run]
mode = "backtest"
cash = "100000"
seed = 7
state = "{state}"

[instruments.XAUUSD]
tick_size = "0.01"
lot_size = "100"
quantity_step = "0.01"
margin_rate = "0.05"
swap_long = "-30"
swap_short = "10"
sessions = "gold"

[plugins.gold]
use = "simulated"
instrument = "XAUUSD"
bars = 4000

[plugins.hourly]
use = "resample"
instrument = "XAUUSD"
timeframe = "M15"

[plugins.cross]
use = "ma_cross"
instrument = "XAUUSD"
timeframe = "M1"
fast = 5
slow = 20
quantity = "0.10"

[plugins.breakout]
use = "donchian_breakout"
instrument = "XAUUSD"
timeframe = "M15"
quantity = "0.20"

[plugins.limit]
use = "max_position"
limit = "0.25"

[plugins.venue]
use = "paper"
commission = "7.00"
slippage = "0.02"
"""


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    path = tmp_path / "nicegold.toml"
    path.write_text(CONFIGURATION.format(state=tmp_path / "state"))
    return path


def built(path: Path, mode: str, name: str) -> App:
    return bootstrap(load(path), Run(name, mode, 0))


def in_a_backtest(path: Path, name: str = "backtest") -> tuple[Result, list[Event]]:
    app = built(path, "backtest", name)
    try:
        result = result_of(app, backtest(app))
        return result, list(read(app.store, app.run.run))
    finally:
        app.close()


def on_paper(path: Path, name: str = "paper") -> tuple[Result, list[Event]]:
    app = built(path, "paper", name)
    try:
        result = result_of(app, paper(app, stop=threading.Event()))
        return result, list(read(app.store, app.run.run))
    finally:
        app.close()


def again(path: Path, recorded: list[Event]) -> tuple[Result, list[Event]]:
    app = bootstrap(load(path), Run("again", "replay", 0), store=open_journal(None))
    try:
        result = result_of(app, replay(app, recorded))
        return result, list(read(app.store, app.run.run))
    finally:
        app.close()


def test_paper_trades_what_the_backtest_traded(configured):
    tested, tested_events = in_a_backtest(configured)
    traded, traded_events = on_paper(configured)

    assert tested.fills > 100
    assert any(veto.plugin == "limit" for veto in tested.vetoes)
    assert tested.fingerprint == traded.fingerprint
    assert msgspec.json.encode(tested_events) == msgspec.json.encode(traded_events)
    assert tested.final_equity == traded.final_equity


@pytest.mark.parametrize("first", [in_a_backtest, on_paper])
def test_a_replay_gives_the_same_bytes(configured, first):
    result, recorded = first(configured)

    repeated, events = again(configured, recorded)

    assert result.fingerprint == repeated.fingerprint
    assert msgspec.json.encode(recorded) == msgspec.json.encode(events)


def test_a_paper_session_beats_with_the_work_it_completes(configured):
    app = built(configured, "paper", "beating")
    try:
        paper(app, stop=threading.Event())
        said = app.telemetry.registry.get_sample_value(
            "nicegold_heartbeat_timestamp_seconds", {"component": "engine"}
        )
    finally:
        app.close()

    assert said is not None
    assert said > 0


def test_a_run_that_was_cut_short_is_rebuilt_up_to_there(configured):
    _, recorded = in_a_backtest(configured)
    cut = recorded[: len(recorded) // 2]

    _, events = again(configured, cut)

    # A replay ends on purpose, which a killed run did not.
    assert msgspec.json.encode(cut) == msgspec.json.encode(events[: len(cut)])


def test_the_seed_decides(configured):
    first, _ = in_a_backtest(configured, "first")
    configured.write_text(configured.read_text().replace("seed = 7", "seed = 8"))
    second, _ = in_a_backtest(configured, "second")

    assert first.fingerprint != second.fingerprint


def test_hash_seeds_change_nothing(configured):
    def bytes_with(hash_seed: str) -> bytes:
        script = (
            "import sys; from pathlib import Path; from tests.ops.test_parity import in_a_backtest; "
            "in_a_backtest(Path(sys.argv[1]), sys.argv[2])"
        )
        name = f"seed-{hash_seed}"
        subprocess.run(
            [sys.executable, "-c", script, str(configured), name],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=Path(__file__).parents[2],
        )
        store = open_journal(journal_path(load(configured).run.state))
        try:
            return payloads(store, find_run(store, name).run)
        finally:
            store.dispose()

    assert bytes_with("1") == bytes_with("777")
