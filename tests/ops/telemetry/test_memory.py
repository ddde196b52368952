"""A session whose traces and errors go nowhere keeps a bounded number of them, however long it lasts."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.ops.commandline import market_in, spawn
from tests.services.bugsink import bugsink
from tests.services.jaeger import jaeger
from tests.services.toxiproxy import toxiproxy

pytestmark = pytest.mark.slow

#: Orders at nearly each bar, whose cycles are all told: more than wait are at most in the shorter one.
SHORT, LONG = 2_500, 5_000
SWING = 0.5
#: Fails at each bar.
FAILS = """
from nicegold import Bar, hookimpl, plugin


@plugin
class Fails:
    @hookimpl
    def on_bar(self, bar: Bar) -> None:
        raise LookupError(f"no price at {bar.time}")
"""
#: Bytes that two sessions may differ by, for what is no telemetry: an allocator's arenas, a database's pages.
_NOISE = 12_000_000


def most_memory(folder: Path, bars: int, *overrides: str) -> int:
    """The most bytes that a session of so many *bars* had at once."""
    folder.mkdir()
    market_in(folder, bars, SWING)
    (folder / "fails.py").write_text(FAILS)
    said = ["run.mode=paper", 'plugins.fails.use="fails:Fails"', *overrides]
    with spawn(folder, "run", *(word for each in said for word in ("--set", each)), stderr=None) as process:
        _, status, used = os.wait4(process.pid, 0)
        # It is waited for already.
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, -signal.SIGTERM)
    return used.ru_maxrss * 1024


def test_memory_does_not_grow_with_what_cannot_be_told(tmp_path, monkeypatch):
    with (
        jaeger() as traces,
        bugsink() as errors,
        toxiproxy(traces.port) as slow,
        toxiproxy(errors.port) as mute,
    ):
        host = f"127.0.0.1:{errors.port}"
        assert host in errors.dsn
        monkeypatch.setenv("DSN", errors.dsn.replace(host, f"127.0.0.1:{mute.port}"))
        # They are answered too late, and never.
        slow.toxic("latency", latency=60_000)
        mute.toxic("timeout", timeout=0)
        told = (f'traces.endpoint="http://127.0.0.1:{slow.port}/v1/traces"', 'errors.dsn="env:DSN"')

        short, long = (most_memory(tmp_path / str(bars), bars, *told) for bars in (SHORT, LONG))

    assert long - short < _NOISE, (short, long)
