"""The dashboards are what the script writes, read what there is, and are drawn with care."""

from __future__ import annotations

import re

import pytest

from dashboards.grafana.boards import BOARDS
from dashboards.grafana.build import files
from tests.alerts.test_rules import ALERTS, NAMES, unknown
from tests.dashboards.panels import FOLDER, panels, queries

PANELS = list(panels())
IDS = [f"{board}: {panel['title']}" for board, panel in PANELS]


def test_the_committed_dashboards_are_what_the_script_writes():
    assert [] == [path.name for path, text in files().items() if path.read_text() != text]
    assert sorted(path.name for path in files()) == sorted(path.name for path in FOLDER.glob("*.json"))


@pytest.mark.parametrize("query", queries(), ids=lambda query: f"{query.board}: {query.panel}")
def test_a_query_reads_only_metrics_that_are_declared_of_the_sessions_that_are_looked_at(query):
    assert [] == unknown(query.expression)
    of_all = {"ALERTS", "nicegold:slo_budget"}
    selectors = re.findall(r"\b((?:nicegold|process)[\w:]+|up|ALERTS)\b(\{[^}]*\})?", query.expression)
    assert [] == [name for name, labels in selectors if name not in of_all and "$instance" not in labels]


@pytest.mark.parametrize("named", PANELS, ids=IDS)
def test_a_panel_asks_a_question_and_says_what_to_do(named):
    _, panel = named

    assert panel["title"].endswith("?")
    assert len(panel["description"]) > 20
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert [] == [target["expr"] for target in panel["targets"] if not target["legendFormat"]]


@pytest.mark.parametrize("named", PANELS, ids=IDS)
def test_an_alert_that_a_panel_names_is_there(named):
    assert [] == sorted(set(re.findall(r"Nicegold\w+", named[1]["description"])) - set(NAMES))


def test_no_two_panels_of_a_dashboard_ask_the_same():
    asked = [(board, panel["title"]) for board, panel in PANELS]

    assert len(asked) == len(set(asked))


def test_an_alert_links_to_a_dashboard_that_there_is():
    linked = {each["annotations"]["dashboard_url"].rpartition("/")[2] for each in ALERTS}

    assert set() == linked - {board.uid for board in BOARDS}
