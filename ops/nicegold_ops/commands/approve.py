"""`nicegold approve`: let this build and this configuration trade live."""

from __future__ import annotations

import time
from pathlib import Path

import click
from msgspec.structs import replace

from nicegold_ops.approval import FILE, approval_in, approval_of, approve, changes
from nicegold_ops.commands._options import config_option, json_option, set_option
from nicegold_ops.commands._output import answer, facts, moment
from nicegold_ops.commands._people import people_at
from nicegold_ops.config import load

_SHOWN = 20


@click.command()
@config_option
@set_option
@click.option("--by", required=True, metavar="NAME", help="Who approves.")
@click.option("--why", required=True, metavar="TEXT", help="What was looked at, or which change this is.")
@json_option
def command(config: Path, overrides: tuple[str, ...], by: str, why: str, json_to: Path | None) -> None:
    """Let this build and this configuration trade live.

    A live run refuses whatever differs from what was approved last: a file of nicegold or of a plugin's
    package, the version of Python or of a package that is installed, or the configuration. What has changed
    since the last time is listed. Who approved, and why, goes on record first: `nicegold audit people`.
    """
    settings = load(config, overrides)
    before = approval_in(settings.run.state / FILE)
    changed = list(changes(before, settings)) if before is not None else []
    approval = approval_of(settings, why, time.time_ns())
    with people_at(settings, make=True) as people:
        was = "" if before is None else before.digest
        person = people.did(by, "approval.granted", reason=why, before=was, after=approval.digest)
    approval = replace(approval, subject=person)
    approve(settings, approval)
    shown = changed[:_SHOWN] + ([f"and {len(changed) - _SHOWN} more"] if len(changed) > _SHOWN else [])
    answer(
        approval,
        json_to,
        facts(
            ("approved by", f"{by}, on record as {person}"),
            ("at", f"{moment(approval.time)} UTC"),
            ("files", f"{len(approval.files):,}"),
            ("packages", f"{len(approval.packages):,}"),
            *(("since the last time", each) for each in shown),
            ("on record in", str(settings.run.state / FILE)),
        ),
    )
