"""A real Prometheus scrapes what we serve."""

from __future__ import annotations

import pytest

from nicegold_ops.telemetry import Telemetry
from tests.services.prometheus import prometheus, until

pytestmark = pytest.mark.slow


def test_prometheus_scrapes_the_calls_of_every_plugin(tmp_path):
    telemetry = Telemetry(tmp_path, "run")
    on_bar = telemetry.observe("on_bar", "cross", lambda bar, portfolio: None)
    check = telemetry.observe("check_order", "limit", lambda order, portfolio: "too much")
    for _ in range(5):
        on_bar("bar", "portfolio")
    check("order", "portfolio")
    port = telemetry.serve("127.0.0.1", 0, lambda: (True, {}))

    with prometheus(tmp_path, f"127.0.0.1:{port}") as server:
        until(lambda: server.query("nicegold_hook_calls_total > 0") != [], "nothing was scraped")
        counted = server.query("sum by (hook, plugin, outcome) (nicegold_hook_calls_total)")
        median = server.query('histogram_quantile(0.5, nicegold_hook_duration_seconds_bucket{hook="on_bar"})')
        targets = server.targets()
    telemetry.close()

    assert {
        ("on_bar", "cross", "success"): 5.0,
        ("on_bar", "cross", "error"): 0.0,
        ("check_order", "limit", "success"): 0.0,
        ("check_order", "limit", "vetoed"): 1.0,
        ("check_order", "limit", "error"): 0.0,
    } == {(labels["hook"], labels["plugin"], labels["outcome"]): count for labels, count in counted}
    assert [{"hook": "on_bar", "plugin": "cross"}] == [
        {name: labels[name] for name in ("hook", "plugin")} for labels, seconds in median if seconds > 0
    ]
    assert [("up", "")] == [(target["health"], target["lastError"]) for target in targets]
