"""The command line and a small market to type it at."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nicegold_ops.commands import invoke

CONFIGURATION = """
[run]
mode = "backtest"
cash = "100000"
currency = "USD"
seed = 7
state = "state"

[instruments.XAUUSD]
tick_size = "0.01"
lot_size = "100"
quantity_step = "0.01"

[plugins.gold]
use = "csv"
instrument = "XAUUSD"
path = "bars.csv"
timezone = "UTC"
timeframe = "M15"

[plugins.cross]
use = "ma_cross"
instrument = "XAUUSD"
fast = 3
slow = 8
quantity = "0.10"

[plugins.limit]
use = "max_position"
limit = "1.00"

[plugins.venue]
use = "paper"
commission = "7.00"
"""


class Answer(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What stdout holds, which is JSON and nothing else."""
        return json.loads(self.out)


class Shell:
    """Types commands in *folder*, in this process."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Answer:
        self._capsys.readouterr()
        code = invoke(arguments)
        said = self._capsys.readouterr()
        return Answer(code, said.out, said.err)

    def json(self, name: str) -> Any:
        """What the file *name* holds."""
        return json.loads((self.folder / name).read_bytes())

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path


def csv_of(bars: int, swing: float = 5.0) -> str:
    """So many M15 bars of a price that swings, so that averages cross; a small *swing* at every bar."""
    return "\n".join(["time,open,high,low,close,volume", *_rows(bars, swing)]) + "\n"


def _rows(bars: int, swing: float) -> Iterator[str]:
    start, last = datetime(2026, 1, 5), 2000.0
    for number in range(bars):
        close = round(2000.0 + 20.0 * math.sin(number / swing) + number % 7 / 10, 2)
        high, low = max(last, close) + 0.5, min(last, close) - 0.5
        begins, volume = start + timedelta(minutes=15 * number), number % 50 + 1
        yield f"{begins},{last},{high:.2f},{low:.2f},{close},{volume}"
        last = close


def market_in(folder: Path, bars: int = 400, swing: float = 5.0) -> Path:
    """Write nicegold.toml and its bars.csv into *folder*; answers the configuration."""
    (folder / "bars.csv").write_text(csv_of(bars, swing), encoding="utf-8")
    path = folder / "nicegold.toml"
    path.write_text(CONFIGURATION, encoding="utf-8")
    return path


@contextmanager
def spawn(folder: Path, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Type a command in *folder* in a process of its own, which does not outlive the test.

    Its output is in pipes.
    """
    code = "from nicegold_ops.commands import main; main()"
    usual = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "env": {**os.environ, "COLUMNS": "200"},
    }
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, cwd=folder, text=True, **{**usual, **options}) as process:
        try:
            yield process
        finally:
            process.kill()


def spawned(folder: Path, *arguments: str, **options: Any) -> Answer:
    """The same, until it has ended."""
    with spawn(folder, *arguments, **options) as process:
        out, err = process.communicate(timeout=120)
    return Answer(process.returncode, out, err)


def wait_until(happened: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait until *happened* answers something, or *process* has ended."""
    pause = threading.Event()
    ends = time.monotonic() + 60
    while not happened() and process.poll() is None:
        assert time.monotonic() < ends, "it did not happen within a minute"
        pause.wait(0.02)


def logged(err: str) -> list[dict[str, Any]]:
    """The lines of the log on standard error, which must have nothing else."""
    return [json.loads(line) for line in err.splitlines()]
