"""The folder that keeps what the servers of tests are made of, so that the next run finds it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def kept(name: str, *pins: bytes) -> Path:
    """Where that is kept of which *pins* say exactly what it is: under *name* and their digest."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nicegold-services"
    return folder / f"{name}-{hashlib.sha256(b''.join(pins)).hexdigest()[:16]}"


@contextmanager
def making(place: Path) -> Iterator[Path]:
    """A path for a file or a folder, which is at *place* when all went well, and else gone."""
    place.parent.mkdir(parents=True, exist_ok=True)
    half = place.with_name(f"{place.name}.{os.getpid()}")
    try:
        yield half
        half.replace(place)
    finally:
        if half.is_dir():
            shutil.rmtree(half)
        half.unlink(missing_ok=True)


def run(command: Sequence[str], otherwise: str, **options: Any) -> None:
    """Run *command* in silence; where it fails, all ends with *otherwise* and what it said."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options
    )
    if done.returncode:
        sys.exit(f"{otherwise}:\n{done.stdout}")
