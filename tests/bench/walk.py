"""The bars in a file that every engine reads, ours and the peers: the same numbers for all."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.bench.scenario import rows

#: Where environments, bars and what the runs write are.
HOME = Path(os.environ.get("NICEGOLD_BENCH_VENVS", Path.home() / ".cache/nicegold-bench"))
DATA = Path(os.environ.get("NICEGOLD_BENCH_DATA", HOME / "data"))
#: The peers' scripts read a file of this layout.
COLUMNS = np.dtype([("ts", "<i8"), *((name, "<f8") for name in ("open", "high", "low", "close", "volume"))])


def file_of(count: int, *, gap: bool) -> Path:
    """Where *count* bars are, once they are written."""
    return DATA / f"bars_{count}{'_gap' if gap else ''}.npy"


class OtherBars(ValueError):
    """A file holds other bars than those of its name."""


def write(count: int, *, gap: bool) -> None:
    """Write *count* bars where they are missing. Raises OtherBars."""
    path = file_of(count, gap=gap)
    table = np.array(list(rows(count, gap=gap)), dtype=COLUMNS)
    if not path.exists():
        DATA.mkdir(parents=True, exist_ok=True)
        whole = path.with_suffix(f".{os.getpid()}.npy")
        np.save(whole, table)
        whole.replace(path)
    if not np.array_equal(np.load(path), table):
        raise OtherBars(f"{path} holds other bars than ours; remove it, and it is made again")


def scratch() -> TemporaryDirectory[str]:
    """A folder for what a run writes, on the disk where the bars are; gone when it is closed."""
    HOME.mkdir(parents=True, exist_ok=True)
    return TemporaryDirectory(dir=HOME)
