"""What the committed dashboards ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dashboards.grafana.boards import BESIDE
from tests.services.prometheus import Prometheus

FOLDER = Path(__file__).parents[2] / "dashboards" / "grafana"


class Query(NamedTuple):
    """A query of a panel; *may_be_empty* is what the panel shows where there is nothing."""

    board: str
    panel: str
    expression: str
    may_be_empty: str

    @property
    def is_beside(self) -> bool:
        """Whether it asks for what is beside trading: tests/alerts/test_delivery.py has an answer."""
        return self.may_be_empty in BESIDE

    @property
    def is_live(self) -> bool:
        """Whether only trading with a venue fills it: tests/alerts/test_firing.py has an answer."""
        return bool(self.may_be_empty) and not self.is_beside

    @property
    def answerable(self) -> str:
        """The expression without Grafana's variables: of all sessions, over times that a test has."""
        return (
            self.expression.replace("$instance", ".*")
            .replace("$__rate_interval", "1m")
            .replace("$__range", "5m")
        )


def boards() -> list[dict[str, Any]]:
    """The dashboards, as Grafana reads them."""
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each panel with the name of its dashboard; rows are none."""
    for board in boards():
        for panel in board["panels"]:
            if panel["type"] != "row":
                yield board["uid"], panel


def queries() -> list[Query]:
    """All queries of all panels."""
    return [
        Query(board, panel["title"], target["expr"], panel["fieldConfig"]["defaults"].get("noValue", ""))
        for board, panel in panels()
        for target in panel["targets"]
    ]


def unanswered(server: Prometheus, asked: list[Query]) -> list[str]:
    """Those of the queries *asked* to which *server* has no series."""
    return [
        f"{each.board}: {each.panel} {each.answerable}" for each in asked if not server.query(each.answerable)
    ]
