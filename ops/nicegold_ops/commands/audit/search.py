"""`nicegold audit search`: what happened, by words."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import RenderableType

from nicegold_ops.audit.document import Document
from nicegold_ops.audit.query import WORDS, parse
from nicegold_ops.commands._options import config_option, json_option, state_option
from nicegold_ops.commands._output import answer, table
from nicegold_ops.commands.audit._trail import copy_of, found_by, found_in, store_at

_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"])


@click.command(epilog=f"Words are FIELD:VALUE, and * in a value is any text. Fields: {', '.join(WORDS)}.")
@click.argument("words", nargs=-1, metavar="[WORD]...")
@click.option("--since", type=_MOMENT, metavar="UTC", help="Not before then, such as 2026-01-05.")
@click.option("--until", type=_MOMENT, metavar="UTC", help="Before then.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most.")
@click.option("--journal", is_flag=True, help="Look into the journal also where there is Elasticsearch.")
@config_option
@state_option
@json_option
def search(
    words: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    limit: int,
    journal: bool,
    config: Path,
    state: Path | None,
    json_to: Path | None,
) -> None:
    """Show what happened, the newest first.

    In Elasticsearch, where the configuration names one, else in the journal. Times are those at which it was
    put on record.
    """
    query = parse(words, _iso(since), _iso(until))
    copy = None if journal else copy_of(config, state)
    if copy is not None:
        found = found_in(copy, query, limit)
    else:
        with store_at(config, state) as store:
            found = found_by(store, query, limit)
    answer(found, json_to, *_shown(found))


def _iso(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.replace(tzinfo=UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def _shown(found: list[Document]) -> list[RenderableType]:
    if not found:
        return ["nothing was found"]
    rows = table("time, UTC", "what", "about", "says", "id")
    # An id is there to be copied.
    rows.columns[-1].no_wrap = True
    for each in found:
        rows.add_row(each["@timestamp"], each["event.action"], about(each), says(each), each["event.id"])
    return [rows]


def about(document: Document) -> str:
    """The order, the plugin or the instrument that it is about."""
    plugin, hook = document.get("nicegold.plugin.name", ""), document.get("nicegold.hook.name", "")
    named = ".".join(filter(None, [plugin, hook]))
    return document.get("nicegold.order.client_id") or named or document.get("nicegold.instrument.symbol", "")


def says(document: Document) -> str:
    """What a person reads of it: terms, prices, reasons."""
    for kind in ("fill", "order"):
        quantity = document.get(f"nicegold.{kind}.quantity")
        if quantity is not None:
            price = document.get(f"nicegold.{kind}.price")
            terms = [
                document.get("nicegold.order.side"),
                quantity,
                document.get("nicegold.instrument.symbol"),
            ]
            at = [] if price is None else ["at", price]
            reason = document.get("event.reason")
            return " ".join(map(str, filter(None, [*terms, *at, reason and f"({reason})"])))
    if "event.duration" in document:
        return f"{document['event.duration'] / 1000:,.1f} µs, {document.get('event.reason', 'in all')}"
    return str(document.get("event.reason") or document.get("error.message", ""))
