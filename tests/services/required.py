"""What a test needs of this machine: without it the test skips, and fails where services are required."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """End the test, saying what is not here and how it comes."""
    if os.environ.get("NICEGOLD_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{reason} (NICEGOLD_REQUIRE_SERVICES=1)")
    pytest.skip(reason)


def program(name: str, package: str) -> str:
    """Where the program *name* of Debian's *package* is."""
    return shutil.which(name) or missing(f"{name} is not installed; on Debian: apt-get install {package}")
