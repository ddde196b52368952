"""What is compiled and the Python that it was compiled of: that both are what runs, and do the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hatch_build import MODULES
from nicegold import Event, OrderState, Position, engine, pure
from tests.ops.commandline import Answer, market_in, spawned

WHAT_RUNS = """
import importlib
from nicegold import pure
print([name for name in {names} if pure.is_compiled(importlib.import_module(f"nicegold.{{name}}"))])
"""


def backtest(folder: Path, asked: str) -> Answer:
    return spawned(folder, "backtest", "--json", "-", env=os.environ | {"NICEGOLD_PURE": asked})


def test_compiled_or_not_the_same_events_happen(tmp_path):
    needs_compiled_modules()
    market_in(tmp_path, bars=2000)

    compiled, python = (backtest(tmp_path, asked).json for asked in ("0", "1"))

    assert compiled["fills"] > 50
    assert compiled["fingerprint"] == python["fingerprint"]


@pytest.mark.parametrize("asked", ["0", "1"])
def test_python_runs_where_it_is_asked_for(asked):
    needs_compiled_modules()

    done = subprocess.run(
        [sys.executable, "-c", WHAT_RUNS.format(names=list(MODULES))],
        env=os.environ | {"NICEGOLD_PURE": asked},
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"{[] if asked == '1' else list(MODULES)}\n" == done.stdout


def test_what_is_read_from_the_journal_is_not_compiled():
    """A compiled class forgets what its lists hold, so a decoder would make dicts of what was in them."""
    kinds: list[type] = [Event, OrderState, Position]
    for kind in kinds:
        kinds += kind.__subclasses__()

    assert {kind.__module__ for kind in kinds}.isdisjoint(f"nicegold.{name}" for name in MODULES)


def needs_compiled_modules() -> None:
    if pure.ASKED or not pure.is_compiled(engine):
        pytest.skip("core is not compiled here; `nicegold doctor` says why")
