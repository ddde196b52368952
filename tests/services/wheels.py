"""Python packages of other versions than uv.lock's, or not for our .venv, each set in a folder of its own.

Such a folder in PYTHONPATH comes before what is installed. What is in it a file of requirements says, with
the hashes.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from tests.services.cache import kept, making, run
from tests.services.required import missing

_REQUIREMENTS = Path(__file__).parent / "requirements"


def install(name: str) -> Path:
    """The folder of what requirements/*name*.txt names, installed unless it was."""
    place = folder(name)
    if not place.exists():
        with making(place) as half:
            command = [
                *(sys.executable, "-m", "uv", "pip", "install", "--quiet"),
                *("--require-hashes", "--no-deps", "--only-binary=:all:"),
                *("--python", sys.executable, "--target", str(half)),
                *("--requirements", str(_REQUIREMENTS / f"{name}.txt")),
            ]
            run(command, f"the Python packages of {name} cannot be installed")
    return place


def required(name: str, how: str) -> Path:
    """The folder; the test skips where it is not, unless services are required. *how* makes it."""
    place = folder(name)
    if not place.exists():
        missing(f"the Python packages of {name} are not installed: {how}")
    return place


def folder(name: str) -> Path:
    """Where they are, if they are."""
    return kept(name, *pins(name))


def pins(name: str) -> tuple[bytes, bytes]:
    """What says which they are: wheels are for one Python."""
    python = f"{platform.python_implementation()} {platform.python_version()} {platform.machine()}"
    return (_REQUIREMENTS / f"{name}.txt").read_bytes(), python.encode()
