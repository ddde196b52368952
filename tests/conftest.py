"""What all tests share: Hypothesis draws the same examples in every run."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine is no reason to fail; an example that is found stays found, so none are stored.
settings.register_profile(
    "nicegold", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("nicegold")
