"""Where the shared market data are, for tests that may read them and skip where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("NICEGOLD_SHARED", Path(__file__).parents[2] / "shared"))


def shared(name: str) -> Path:
    """The file *name* below shared/; the test skips with the reason where there is none."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"there is no {path}; its quotes belong to others and are not in this repository")
    return path
