"""A backtest as a user runs it: a configuration, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from nicegold_ops.app import bootstrap
from nicegold_ops.config import load
from nicegold_ops.journal import Run
from nicegold_ops.report.result import Result, result_of
from nicegold_ops.session import backtest


class Backtested(msgspec.Struct, frozen=True):
    """What a run came to; *closes* are equity at the end of each trading day, counted from 1970."""

    result: Result
    closes: Mapping[int, float]


def backtested(folder: Path, configuration: str) -> Backtested:
    """Run *configuration* in *folder*."""
    path = folder / "nicegold.toml"
    path.write_text(configuration, encoding="utf-8")
    app = bootstrap(load(path), Run("test", "backtest", 0))
    try:
        return Backtested(result_of(app, backtest(app)), dict(app.curve.closes))
    finally:
        app.close()
