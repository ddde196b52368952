"""What a run came to, on one screen."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table

from nicegold_ops.commands._output import facts, micros, moment, money, ratio, share, table
from nicegold_ops.report.result import OpenPosition, Result
from nicegold_ops.telemetry import HookSummary


def summary(result: Result) -> list[RenderableType]:
    """*result* for a person."""
    vetoes = [_vetoes(result)] if result.vetoes else []
    return [_figures(result), _hooks(result), *vetoes]


def _figures(result: Result) -> Table:
    profits = [trade.profit - trade.costs for trade in result.trades]
    won = sum(profit > 0 for profit in profits)
    pairs: list[tuple[str, object]] = [
        ("run", f"{result.run}: {result.ended}"),
        ("market", _market(result)),
        ("left out", ", ".join(f"{count} {kind}" for kind, count in result.quality.items()) or "nothing"),
        ("orders", f"{result.orders:,}, fills {result.fills:,}, vetoes {_vetoed(result):,}"),
        ("trades", f"{len(profits):,}, {won:,} of them won"),
        ("equity", f"{money(result.final_equity, result.currency)}, {share(result.total_return)}"),
        ("costs", f"{money(result.commission, result.currency)} commission, {result.swap:,.2f} swap"),
        ("drawdown", f"{share(result.max_drawdown)} at most"),
        ("ratios", _ratios(result)),
        ("exposure", f"{share(result.exposure)} of the time"),
        *(("open", _position(each)) for each in result.positions),
        *(("failed", f"{plugin}, {count} times") for plugin, count in result.failures.items()),
        *([("halted", result.halted)] if result.halted else []),
        ("speed", f"{result.seconds:,.2f} s, {result.bars_per_second:,.0f} events a second"),
        ("fingerprint", result.fingerprint),
    ]
    return facts(*pairs)


def _market(result: Result) -> str:
    when = f", {moment(result.start)} to {moment(result.end)} UTC" if result.bars else ""
    return f"{result.bars:,} events{when}"


def _vetoed(result: Result) -> int:
    return sum(veto.count for veto in result.vetoes)


def _ratios(result: Result) -> str:
    return (
        f"sharpe {ratio(result.sharpe)}, sortino {ratio(result.sortino)}, "
        f"profit factor {ratio(result.profit_factor)}"
    )


def _position(each: OpenPosition) -> str:
    return f"{each.quantity} {each.symbol} from {each.average_price:.2f}, now {each.price:.2f}"


def _hooks(result: Result) -> Table:
    numbers = ("calls", "errors", "p50", "p99")
    made = table("hook", "plugin", *numbers, right=numbers)
    for each in filter(_was_called, result.hooks):
        made.add_row(
            each.hook, each.plugin, f"{each.calls:,}", f"{each.errors:,}", micros(each.p50), micros(each.p99)
        )
    return made


def _was_called(each: HookSummary) -> bool:
    return each.calls > 0


def _vetoes(result: Result) -> Table:
    made = table("vetoes by", "times", "saying at first", right=("times",))
    for veto in result.vetoes:
        made.add_row(veto.plugin, f"{veto.count:,}", veto.reasons[0])
    return made
