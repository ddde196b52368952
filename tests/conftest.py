"""What all tests share: Hypothesis draws the same in every run, and what is tested is what is here."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from nicegold import pure

# A busy machine is no reason to fail; an example that is found stays found, so none are stored.
settings.register_profile(
    "nicegold", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("nicegold")


def pytest_configure() -> None:
    """A compiled module is loaded in place of its source, also when it was compiled of an older one."""
    if pure.ASKED:
        return
    for built in Path(pure.__file__).parent.glob("*.so"):
        source = built.with_name(built.name.partition(".")[0] + ".py")
        if source.stat().st_mtime > built.stat().st_mtime:
            pytest.exit(
                f"{source} has changed since it was compiled: run `make venv`, or set NICEGOLD_PURE=1", 2
            )
