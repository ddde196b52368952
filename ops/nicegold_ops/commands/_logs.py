"""Where a run's log goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from nicegold_ops.config import RunSettings
from nicegold_ops.telemetry.logs import Logs

LOG = "log.jsonl"


@contextmanager
def logged(folder: Path, run: RunSettings, stream: TextIO | None) -> Iterator[Logs]:
    """Log to the run's *folder*, and to *stream* unless something else is shown there."""
    logs = Logs(file=folder / LOG, stream=stream, size=round(run.log_size * 1e6), kept=run.log_files)
    try:
        yield logs
    finally:
        logs.close()
