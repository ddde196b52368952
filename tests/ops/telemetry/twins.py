"""The watched call in both its forms."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from nicegold_ops.telemetry.watch import native

PYTHON, C = "Python", "C"
TWINS = (PYTHON, C)

#: For a test of what only Python's twin can do: look at the clock that it is given.
WITH_A_CLOCK_OF_ITS_OWN = pytest.mark.parametrize("twin", [PYTHON])


def clock_of(twin: str, given: Callable[[], float]) -> Callable[[], float]:
    """The clock with which calls are watched in *twin*: *given* in Python, in C the system's."""
    if twin == PYTHON:
        return given
    if native(time.perf_counter) is None:
        pytest.skip("calls are not watched in C here; `nicegold doctor` says why")
    return time.perf_counter
