"""A real Prometheus that has scraped a demonstration session has an answer to every question."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL

import pytest

from tests.alerts.test_rules import DECLARED, base_of, read_in, rules
from tests.dashboards.panels import queries, unanswered
from tests.ops.commandline import spawn
from tests.services.postgresql import free_port
from tests.services.prometheus import Prometheus, deployed, prometheus, until

pytestmark = pytest.mark.slow

GOLD = Path(__file__).parents[2] / "examples" / "gold.toml"
HISTOGRAMS = {name for name, metric in DECLARED.items() if metric.kind == "histogram"}
#: None of these is in a session on recorded prices with a paper broker: tests/alerts/test_firing.py has them.
LIVE = {
    "nicegold:feed_stale",
    "nicegold_feed_expected_interval_seconds",
    "nicegold_reconciliation_agreed",
    "nicegold_reconciliation_breaks",
    "nicegold_reconciliation_last_success_timestamp_seconds",
}
#: What is beside trading: tests/alerts/test_delivery.py has them.
BESIDE = ("nicegold_audit_", "nicegold_vault_")
#: Seconds until rates over a minute and the rules that read them have something to say.
_PATIENCE = 120.0


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with our rules that scrapes a session of examples/gold.toml, faster than that is."""
    folder, port = tmp_path_factory.mktemp("demonstration"), free_port()
    settings = (f"run.state={folder}", f"run.metrics_port={port}", "run.pace=200")
    command = ["run", "--config", str(GOLD), *(word for each in settings for word in ("--set", each))]
    with (
        prometheus(folder, "", deployed(folder, f"127.0.0.1:{port}")) as server,
        spawn(folder, *command, stdout=DEVNULL, stderr=DEVNULL),
    ):
        yield server


def test_every_panel_has_an_answer_unless_it_says_that_it_may_have_none(scraped):
    asked = [each for each in queries() if not each.may_be_empty]

    until(
        lambda: not unanswered(scraped, asked),
        lambda: f"nothing is there for {unanswered(scraped, asked)}",
        _PATIENCE,
    )

    assert len(asked) > 50


def test_every_metric_that_a_rule_reads_is_there_unless_only_a_live_venue_has_it(scraped):
    read = {base_of(name) for rule in rules() for name in read_in(rule["expr"])}
    here = {name for name in read - LIVE if not name.startswith(BESIDE)}
    samples = {name: f"{name}_count" if name in HISTOGRAMS else name for name in here}

    until(
        lambda: all(scraped.query(each) for each in samples.values()),
        lambda: f"not there: {sorted(name for name, each in samples.items() if not scraped.query(each))}",
        _PATIENCE,
    )

    assert LIVE <= read


def test_every_service_level_has_its_ratio_but_that_of_live_feeds(scraped):
    def told() -> set[str]:
        return {labels["slo"] for labels, _ in scraped.query("nicegold:slo_error_ratio:1h >= 0")}

    until(
        lambda: told() == {"orders", "acks", "hooks", "notifications"},
        lambda: f"told are {told()}",
        _PATIENCE,
    )
