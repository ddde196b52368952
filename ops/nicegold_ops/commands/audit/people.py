"""`nicegold audit people` and `erase`: who is on record, and how their name is taken from it."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import RenderableType

from nicegold_ops.commands._options import config_option, json_option
from nicegold_ops.commands._output import answer, facts, moment, table
from nicegold_ops.commands._people import login_name, people_at
from nicegold_ops.config import load
from nicegold_ops.people import Person


@click.command()
@config_option
@json_option
def people(config: Path, json_to: Path | None) -> None:
    """Show who has done something to trading.

    Their names are read with keys that are not in the store: in Vault, or in the state folder.
    """
    with people_at(load(config)) as everybody:
        known = everybody.known()
    answer(known, json_to, *_shown(known))


@click.command()
@click.argument("who", metavar="NAME|ID")
@click.option("--by", metavar="NAME", help="Who erases, if it is not who is logged in.")
@click.option("--why", required=True, metavar="TEXT", help="Such as the request that asks for it.")
@config_option
@json_option
def erase(who: str, by: str | None, why: str, config: Path, json_to: Path | None) -> None:
    """Make the name of somebody on record unreadable for good, wherever there are copies.

    Its key is destroyed. What they did stays on record under their id, and all chains are as sound as before.
    That it was erased goes on record too; do not say the name in --why.
    """
    with people_at(load(config)) as everybody:
        person = everybody.erase(who, by or login_name(), why)
    answer({"id": person}, json_to, facts(("erased", f"the name of {person}")))


def _shown(known: list[Person]) -> list[RenderableType]:
    if not known:
        return ["nobody is on record yet"]
    rows = table("id", "name", "since, UTC", "did", right=("did",))
    rows.columns[0].no_wrap = True
    for each in known:
        rows.add_row(each.id, each.name or _gone(each), moment(each.since), f"{each.actions:,}")
    return [rows]


def _gone(person: Person) -> str:
    return f"erased {moment(person.erased)}" if person.erased else "its key is gone, and nobody said why"
