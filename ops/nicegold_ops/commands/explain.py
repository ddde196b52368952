"""`nicegold explain`: the chain of what led to an order and what became of it."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import RenderableType

from nicegold_ops.audit.document import Document
from nicegold_ops.audit.explanation import Explanation
from nicegold_ops.audit.explanation import explain as explanation_of
from nicegold_ops.commands._options import config_option, json_option, state_option
from nicegold_ops.commands._output import answer, facts, micros, table
from nicegold_ops.commands._runs import journal_at
from nicegold_ops.commands.audit.search import says

_VERDICTS = {"success": "no objection", "vetoed": "objected", "error": "failed, which is an objection"}


@click.command()
@click.argument("order")
@click.option("--run", metavar="RUN", help="Of this run, where several have such an order.")
@config_option
@state_option
@json_option
def command(order: str, run: str | None, config: Path, state: Path | None, json_to: Path | None) -> None:
    """Show why there is an order: the input, each plugin that was asked, and all that happened to it.

    ORDER is its id, such as cross-54. What is shown is on record; its trace has the same id in the trace
    store and in Elasticsearch.
    """
    _, store = journal_at(config, state)
    try:
        found = explanation_of(store, order, run)
    finally:
        store.dispose()
    answer(found, json_to, *_shown(found))


def _shown(found: Explanation) -> list[RenderableType]:
    first = found.events[0]
    return [
        facts(
            ("order", f"{found.order}: {says(first)}"),
            ("strategy", first.get("nicegold.strategy.id", "-")),
            ("run", found.run),
            ("trace", found.trace or "-"),
            ("input", f"event {found.cause:,} of the run"),
        ),
        *_calls(found.calls),
        *_events(found.events),
    ]


def _calls(calls: list[Document]) -> list[RenderableType]:
    if not calls:
        return ["how plugins were called then is not on record"]
    rows = table("began, UTC", "hook", "plugin", "took", "answered", right=("took",))
    for each in calls:
        hook, outcome = each["nicegold.hook.name"], each["event.reason"]
        verdict = _VERDICTS[outcome] if hook.startswith("check_") else outcome
        began, took = each["event.start"], micros(each["event.duration"] / 1e9)
        rows.add_row(began[:-1].replace("T", " "), hook, each["nicegold.plugin.name"], took, verdict)
    return ["what its input led to", rows]


def _events(events: list[Document]) -> list[RenderableType]:
    rows = table("on record, UTC", "event", "market's time", "what", "", right=("event",))
    for each in events:
        market = each.get("nicegold.market.time", "-")[:-1].replace("T", " ")
        recorded = each["@timestamp"][:-1].replace("T", " ")
        rows.add_row(recorded, f"{each['event.sequence']:,}", market, each["event.action"], _said(each))
    return ["what happened to it", rows]


def _said(event: Document) -> str:
    rules = event.get("nicegold.risk.rule")
    return f"{', '.join(rules)}: {event['event.reason']}" if rules else says(event)
