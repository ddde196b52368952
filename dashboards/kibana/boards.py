"""What Kibana shows of the audit trail and of the logs: each panel answers the question that is its title.

Queries are Lucene's, as Elasticsearch itself takes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

#: Calls of plugins, of which there are many.
_CALLS = "event.action:(hook.called OR hook.counted)"


@dataclass(frozen=True)
class Source:
    """A data view: the streams of a *pattern*."""

    id: str
    pattern: str
    title: str


AUDIT = Source("nicegold-audit", "logs-nicegold.audit-*", "nicegold: audit trail")
LOGS = Source("nicegold-app", "logs-nicegold.app-*", "nicegold: logs")


@dataclass(frozen=True)
class Figure:
    """A number of a row: an *operation* of Lens on a *field*."""

    label: str
    operation: str
    field: str
    percentile: int = 0


COUNT = Figure("count", "count", "___records___")
LAST = Figure("last", "max", "@timestamp")


@dataclass(frozen=True)
class Table:
    """A row for each combination of what *by* holds."""

    title: str
    query: str
    by: tuple[str, ...]
    figures: tuple[Figure, ...] = (COUNT, LAST)
    source: Source = AUDIT


@dataclass(frozen=True)
class Series:
    """How many there were over time, by what *by* holds."""

    title: str
    query: str
    by: str
    source: Source = AUDIT


@dataclass(frozen=True)
class Search:
    """The documents themselves, the newest first."""

    title: str
    query: str
    columns: tuple[str, ...]
    source: Source = AUDIT


Panel: TypeAlias = Table | Series | Search


@dataclass(frozen=True)
class Board:
    """A dashboard."""

    id: str
    title: str
    question: str
    panels: tuple[Panel, ...] = field(default=())


_P99 = Figure("99th percentile, ns", "percentile", "event.duration", 99)
_LONGEST = Figure("longest, ns", "max", "event.duration")
_LOTS = Figure("lots", "sum", "nicegold.fill.quantity_value")

BOARDS = (
    Board(
        "audit",
        "Audit trail",
        "What happened, and in which run?",
        (
            Series("What happened, and when?", f"NOT {_CALLS}", "event.action"),
            Table("Which runs are on record?", "*", ("nicegold.run.id", "service.version")),
            Table(
                "Which orders were vetoed, and by which rule?",
                "event.action:order.vetoed",
                ("nicegold.risk.rule", "nicegold.strategy.id", "nicegold.instrument.symbol"),
            ),
            Table(
                "What was traded?",
                "event.action:order.filled",
                ("nicegold.strategy.id", "nicegold.instrument.symbol", "nicegold.order.side"),
                (COUNT, _LOTS, LAST),
            ),
            Table(
                "Where do our books and the venue's differ?",
                "event.action:reconciliation.*",
                ("event.action", "nicegold.reconciliation.kind", "nicegold.reconciliation.about"),
            ),
            Search(
                "What happened last?",
                f"NOT {_CALLS}",
                (
                    "event.action",
                    "nicegold.order.client_id",
                    "nicegold.plugin.name",
                    "event.reason",
                    "trace.id",
                ),
            ),
        ),
    ),
    Board(
        "errors",
        "Errors by plugin",
        "Which plugin fails, since when, and what does it say?",
        (
            Series("When did plugins fail?", "event.action:plugin.failed", "nicegold.plugin.name"),
            Table(
                "Which plugin fails, and in which hook?",
                "event.action:plugin.failed",
                ("nicegold.plugin.name", "nicegold.hook.name"),
            ),
            Table(
                "Which calls ended in an error?",
                "event.action:hook.called AND event.outcome:failure",
                ("nicegold.plugin.name", "nicegold.hook.name"),
            ),
            Table(
                "Which calls are slow?",
                "event.action:hook.called",
                ("nicegold.plugin.name", "nicegold.hook.name"),
                (COUNT, _P99, _LONGEST),
            ),
            Search(
                "What do they say?",
                "event.action:(plugin.failed OR order.rejected OR market.refused)",
                (
                    "event.action",
                    "nicegold.plugin.name",
                    "nicegold.hook.name",
                    "error.message",
                    "event.reason",
                    "trace.id",
                ),
            ),
        ),
    ),
    Board(
        "people",
        "Who did what",
        "Who changed how we trade, when, and why?",
        (
            Series("When did people act?", "nicegold.actor.type:human", "event.action"),
            Table("Who did what?", "nicegold.actor.type:human", ("user.id", "event.action")),
            Table("Whose name was erased?", "event.action:subject.erased", ("user.target.id", "user.id")),
            Search(
                "What was done, and why?",
                "nicegold.actor.type:human OR event.action:(engine.halted OR engine.halt_lifted "
                "OR reconciliation.adopted)",
                ("event.action", "user.id", "user.target.id", "event.reason", "nicegold.run.id"),
            ),
        ),
    ),
    Board(
        "logs",
        "Logs",
        "What does the log say, and how loudly?",
        (
            Series("How much is logged, by level?", "*", "log.level", LOGS),
            Table("Who logs?", "*", ("log.logger", "log.level"), source=LOGS),
            Table("Which exceptions are there?", "error.type:*", ("error.type", "log.logger"), source=LOGS),
            Search(
                "What was logged last?",
                "*",
                ("log.level", "log.logger", "message", "error.message", "trace.id"),
                LOGS,
            ),
        ),
    ),
)
