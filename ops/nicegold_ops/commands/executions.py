"""`nicegold executions`: what was traded, day by day."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import RenderableType

from nicegold import DAY
from nicegold_ops.commands._options import config_option, json_option, state_option
from nicegold_ops.commands._output import answer, day, table
from nicegold_ops.commands._runs import journal_at
from nicegold_ops.journal import LEAVES, find_run
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
    tables are made when they are asked for.
    """
    _, store = journal_at(config, state)
    try:
        asked = find_run(store, run)
        with store.connect() as connection:
            has_tables = projected_to(connection, asked.run) > 0
        # Nobody writes the tables of a backtest, and it may have gone on since they were made.
        if not has_tables or asked.mode not in LEAVES:
            rebuild(store, asked.run)
        with store.connect() as connection:
            found = executions(connection, asked.run, 0, _NEVER)
    finally:
        store.dispose()
    answer(found, json_to, *_shown(asked.run, found))


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
