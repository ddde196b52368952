"""`nicegold executions`: what was traded, day by day."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import RenderableType

from nicegold import DAY
from nicegold_ops.commands._options import config_option, json_option, state_option
from nicegold_ops.commands._output import answer, day, table
from nicegold_ops.commands._runs import journal_at
from nicegold_ops.journal import find_run
from nicegold_ops.store.projections import projected_to
from nicegold_ops.store.queries import Execution, executions
from nicegold_ops.store.rebuild import rebuild

#: Later than any trade, ns UTC.
_NEVER = 2**63 - DAY


@click.command()
@click.argument("run", required=False)
@config_option
@state_option
@json_option
def command(run: str | None, config: Path, state: Path | None, json_to: Path | None) -> None:
    """Show what was traded, by day, strategy, instrument and side.

    RUN is a run's id, the last one if not said. Trades that the venue took back are left out. A backtest's
    tables are made when it is first asked for.
    """
    _, store = journal_at(config, state)
    try:
        name = find_run(store, run).run
        with store.connect() as connection:
            known = projected_to(connection, name)
        if not known:
            rebuild(store, name)
        with store.connect() as connection:
            found = executions(connection, name, 0, _NEVER)
    finally:
        store.dispose()
    answer(found, json_to, *_shown(name, found))


def _shown(run: str, found: list[Execution]) -> list[RenderableType]:
    if not found:
        return [f"{run} has no trades"]
    rows = table(
        "day, UTC",
        "strategy",
        "instrument",
        "side",
        "trades",
        "lots",
        "average price",
        "commission",
        right=_RIGHT,
    )
    for each in found:
        rows.add_row(
            day(each.day),
            each.strategy or "-",
            each.symbol,
            each.side,
            f"{each.trades:,}",
            f"{each.quantity:,}",
            f"{each.price:,.5f}",
            f"{each.commission:,}",
        )
    return [f"what {run} traded", rows]


_RIGHT = ("trades", "lots", "average price", "commission")
