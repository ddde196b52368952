"""`nicegold check`: what would run, in order, without trading."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import RenderableType

from nicegold import Instrument, Source
from nicegold.host import Host
from nicegold_ops.app import App, bootstrap
from nicegold_ops.commands._options import config_option, json_option, set_option
from nicegold_ops.commands._output import answer, facts, money, table
from nicegold_ops.commands._runs import aside
from nicegold_ops.config import Settings, load, withheld
from nicegold_ops.errors import DataError, PluginError
from nicegold_ops.journal import Run, open_journal
from nicegold_ops.toml import to_toml


class Planned(msgspec.Struct, frozen=True):
    """A plugin that would run."""

    name: str
    use: str
    kind: str
    hooks: tuple[str, ...]
    settings: dict[str, Any]


class Plan(msgspec.Struct, frozen=True):
    """What would run. *calls* has each hook's plugins in the order in which they are asked."""

    mode: str
    cash: str
    currency: str
    state: Path
    instruments: list[Instrument]
    plugins: list[Planned]
    calls: dict[str, list[str]]
    sources: dict[str, Source]
    recognised: dict[str, list[str]]


@click.command()
@config_option
@set_option
@json_option
def command(config: Path, overrides: tuple[str, ...], json_to: Path | None) -> None:
    """Say what would run, in order, without trading.

    What a run would refuse is refused.
    """
    settings = load(config, overrides)
    with aside(settings) as elsewhere:
        planned = Run("check", settings.run.mode, 0)
        app = bootstrap(elsewhere, planned, store=open_journal(None), resolve=withheld)
        try:
            plan = _plan(settings, app)
        finally:
            app.close()
    answer(plan, json_to, *_shown(plan))


def _plan(settings: Settings, app: App) -> Plan:
    uses = {plugin.name: plugin for plugin in settings.plugins}
    enabled = app.host.plugins.values()
    return Plan(
        mode=settings.run.mode,
        cash=str(settings.run.cash),
        currency=settings.run.currency,
        state=settings.run.state,
        instruments=list(settings.instruments.values()),
        plugins=[
            Planned(each.name, uses[each.name].use, each.kind, each.hooks, uses[each.name].values)
            for each in enabled
            if each.name in uses
        ],
        calls={
            hook: list(app.host.each(hook))
            for hook in dict.fromkeys(hook for each in enabled for hook in each.hooks)
        },
        sources=dict(app.sources),
        recognised=_recognised(app.host),
    )


def _recognised(host: Host) -> dict[str, list[str]]:
    """What each feed sees in its files. Raises DataError for what it cannot read, PluginError if it fails."""
    found = {}
    for reply in host.call("describe_source")():
        if isinstance(reply.error, OSError | ValueError):
            raise DataError(f"{reply.plugin}: {reply.error}")
        if reply.error is not None:
            raise PluginError(f"{reply.plugin}.{reply.hook} {reply.reason}")
        found[reply.plugin] = reply.value
    return found


def _shown(plan: Plan) -> list[RenderableType]:
    run = facts(
        ("mode", plan.mode),
        ("cash", money(Decimal(plan.cash), plan.currency)),
        ("state", plan.state),
        *(("instrument", _instrument(each)) for each in plan.instruments),
        *((f"{feed} reads", source.location) for feed, source in plan.sources.items()),
        *((f"{feed} sees", line) for feed, lines in plan.recognised.items() for line in lines),
    )
    plugins = table("plugins", "use", "kind", "settings")
    for each in plan.plugins:
        written = {name: value for name, value in each.settings.items() if value is not None}
        settings = ", ".join(f"{name} = {to_toml(value)}" for name, value in written.items())
        plugins.add_row(each.name, each.use, each.kind, settings)
    calls = table("hooks", "asked in this order")
    for hook, names in plan.calls.items():
        calls.add_row(hook, ", ".join(names))
    return [run, plugins, calls]


def _instrument(each: Instrument) -> str:
    terms = f"tick {each.tick_size}, lot {each.lot_size}, step {each.quantity_step}"
    return f"{each.symbol} in {each.currency}: {terms}"
