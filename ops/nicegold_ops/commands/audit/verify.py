"""`nicegold audit verify`: the proof that the record is what was written."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import RenderableType

from nicegold_ops.audit.proof import Proof, proofs
from nicegold_ops.commands._options import config_option, json_option, state_option
from nicegold_ops.commands._output import answer, table
from nicegold_ops.commands.audit._trail import copy_of, store_at
from nicegold_ops.errors import DataError
from nicegold_ops.ship.elasticsearch import Busy, Refused


@click.command()
@click.option("--journal", is_flag=True, help="Do not ask Elasticsearch how much it has.")
@config_option
@state_option
@json_option
def verify(journal: bool, config: Path, state: Path | None, json_to: Path | None) -> int:
    """Follow each run's chains from end to end, and compare what others were told with them.

    With Elasticsearch, its documents are counted too. Exits with 1 at a fault, and names the first of a run.
    """
    copy = None if journal else copy_of(config, state)
    try:
        with store_at(config, state) as store:
            found = list(proofs(store, copy))
    except (Busy, Refused) as error:
        raise DataError(f"{error}; --journal leaves it out") from None
    answer(found, json_to, *_shown(found))
    return 1 if any(each.fault for each in found) else 0


def _shown(found: list[Proof]) -> list[RenderableType]:
    rows = table("run", "events", "blocks of calls", "in Elasticsearch", "", right=_RIGHT)
    for each in found:
        there = "-" if each.found is None else f"{each.found:,} of {each.documents:,}"
        rows.add_row(each.run, f"{each.events:,}", f"{each.blocks:,}", there, each.fault or "sound")
    faults = sum(bool(each.fault) for each in found)
    return [rows, f"{faults} of {len(found)} runs are not sound" if faults else "all chains are sound"]


_RIGHT = ("events", "blocks of calls", "in Elasticsearch")
