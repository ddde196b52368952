"""Every rule says what it is about, has a runbook and tests, and reads only what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from nicegold_ops.commands import ours
from nicegold_ops.telemetry.metrics import METRICS
from tests.alerts import test_delivery, test_faults
from tests.alerts.test_firing import FIRED

ROOT = Path(__file__).parents[2]
RULES = ROOT / "alerts"
RUNBOOKS = RULES / "runbooks"
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation", "Allowed verbs", "Verify recovered"]
COMPONENTS = {
    *("audit", "engine", "feeds", "journal", "notifications", "orders", "plugins"),
    *("process", "reconciliation", "risk", "secrets", "slo", "telemetry"),
}
#: Words of PromQL and labels that look like metrics are not asked for: only what has one of our prefixes is.
_READ = re.compile(r"\b(?:nicegold[_:][\w:]+|process_\w+)")
_SUFFIX = re.compile(r"_(?:bucket|count|sum)$")
_COMMAND = re.compile(r"`nicegold ([a-z]+(?: (?:new|check|convert|forget|store|stored))?)")


def rules() -> list[dict[str, Any]]:
    """All rules of all groups of all files."""
    files = [yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]
NAMES = [rule["alert"] for rule in ALERTS]
RECORDED = {rule["record"] for rule in rules() if "record" in rule}
DECLARED = {metric.name: metric for metric in METRICS}


def base_of(name: str) -> str:
    """The metric whose series *name* is: a histogram has three for each child."""
    shorter = _SUFFIX.sub("", name)
    return shorter if shorter in DECLARED and DECLARED[shorter].kind == "histogram" else name


def read_in(expression: str) -> list[str]:
    """The names of series that *expression* reads."""
    return _READ.findall(expression)


def unknown(expression: str) -> list[str]:
    """The names in *expression* that no metric and no rule has."""
    return [name for name in read_in(expression) if base_of(name) not in {*DECLARED, *RECORDED}]


def test_no_two_alerts_have_one_name():
    assert sorted(set(NAMES)) == sorted(NAMES)


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alert_says_how_bad_it_is_what_it_is_about_and_where_to_read_on(alert):
    name, labels, annotations = alert["alert"], alert["labels"], alert["annotations"]

    assert {"severity", "service", "component", "runbook_id"} <= set(labels)
    assert labels["severity"] in {"critical", "warning", "none"}
    assert ("nicegold", name) == (labels["service"], labels["runbook_id"])
    assert labels["component"] in COMPONENTS
    assert {"summary", "description", "runbook_url", "dashboard_url"} == set(annotations)
    assert f"{{{{ $externalLabels.runbooks }}}}/{name}.md" == annotations["runbook_url"]
    assert len(annotations["summary"]) < 100


def test_what_must_never_be_pages():
    assert {"critical"} == {each["labels"]["severity"] for each in ALERTS if each["labels"].get("invariant")}


@pytest.mark.parametrize("rule", rules(), ids=[each.get("alert") or each["record"] for each in rules()])
def test_a_rule_reads_only_metrics_that_are_declared_and_rules_that_are_there(rule):
    assert [] == unknown(rule["expr"])


def test_a_metric_that_is_not_there_would_be_found():
    assert ["nicegold_vault_sealed"] == unknown("rate(nicegold_vault_sealed[5m]) / nicegold_equity")


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_has_a_runbook_of_six_headings_in_which_something_is_said(name):
    parts = re.split(r"^## (.+)$", (RUNBOOKS / f"{name}.md").read_text(), flags=re.MULTILINE)

    assert f"# {name}" == parts[0].strip()
    assert HEADINGS == parts[1::2]
    assert [] == [heading for heading, said in zip(parts[1::2], parts[2::2], strict=True) if len(said) < 20]


def test_a_runbook_is_of_an_alert():
    assert sorted(NAMES) == sorted(path.stem for path in RUNBOOKS.glob("*.md"))


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_names_only_commands_metrics_and_pages_that_there_are(name):
    page = RUNBOOKS / f"{name}.md"
    text = page.read_text()

    commands = {command.split()[0] for command in _COMMAND.findall(text)}
    assert [] == sorted(commands - set(ours()))
    assert [] == unknown(text)
    assert [] == [
        target for target in re.findall(r"\]\(([^)#]+)", text) if not (page.parent / target).is_file()
    ]


@pytest.mark.parametrize("name", NAMES)
def test_promtool_tries_where_an_alert_fires_and_where_it_does_not(name):
    checks = [
        bool(check["exp_samples"])
        for path in (RULES / "tests").glob("*.yml")
        for test in yaml.safe_load(path.read_text())["tests"]
        for check in test.get("promql_expr_test", ())
        if f'alertname="{name}"' in check["expr"]
    ]

    # The one that always fires cannot be shown not to.
    assert ({True} if name == "Watchdog" else {True, False}) == set(checks)


def test_each_alert_fires_in_a_test_of_what_goes_wrong():
    fired = set().union(*test_faults.FIRED.values())

    assert sorted(NAMES) == sorted({*FIRED, *test_delivery.FIRED, *(name for name, _ in fired)})


def routes() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "ops/deploy/alertmanager.yml").read_text())
    return found


def test_what_must_never_be_is_routed_before_all_else_at_once_and_at_any_time():
    watchdog, invariants, *_ = routes()["route"]["routes"]

    assert (['alertname="Watchdog"'], ['invariant="true"']) == (watchdog["matchers"], invariants["matchers"])
    assert ("pager", "0s") == (invariants["receiver"], invariants["group_wait"])
    assert set() == {"mute_time_intervals", "active_time_intervals"} & set(invariants)


def test_what_must_never_be_is_inhibited_by_nothing():
    invariants = {each["alert"] for each in ALERTS if each["labels"].get("invariant")}

    for rule in routes()["inhibit_rules"]:
        spared = 'invariant!="true"' in rule["target_matchers"]
        named = {name for each in rule["target_matchers"] for name in re.findall(r"Nicegold\w+", each)}
        assert spared or (named and not named & invariants), rule


def test_routes_name_alerts_that_there_are():
    named = set(re.findall(r"Nicegold\w+", (ROOT / "ops/deploy/alertmanager.yml").read_text()))

    assert [] == sorted(named - set(NAMES))
