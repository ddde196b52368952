"""`nicegold audit show`: all that is said of one thing that happened."""

from __future__ import annotations

from pathlib import Path

import click

from nicegold_ops.audit.query import Query
from nicegold_ops.commands._options import config_option, json_option, state_option
from nicegold_ops.commands._output import answer, facts
from nicegold_ops.commands.audit._trail import copy_of, found_by, found_in, store_at
from nicegold_ops.errors import DataError


@click.command()
@click.argument("event_id", metavar="ID")
@click.option("--journal", is_flag=True, help="Look into the journal also where there is Elasticsearch.")
@config_option
@state_option
@json_option
def show(event_id: str, journal: bool, config: Path, state: Path | None, json_to: Path | None) -> None:
    """Show each field of the document ID, which `nicegold audit search` names."""
    query = Query([("event.id", event_id)])
    copy = None if journal else copy_of(config, state)
    if copy is not None:
        found = found_in(copy, query, 1)
    else:
        with store_at(config, state) as store:
            found = found_by(store, query, 1)
    if not found:
        raise DataError(f"there is no document {event_id}; `nicegold audit search` shows the newest")
    answer(found[0], json_to, facts(*found[0].items()))
