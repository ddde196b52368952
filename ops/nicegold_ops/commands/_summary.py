"""What a run came to, on one screen."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import RenderableType
from rich.table import Table

from nicegold_ops.commands._output import facts, micros, moment, money, ratio, share, table
from nicegold_ops.report.benchmark import Benchmark
from nicegold_ops.report.reading import Failure
from nicegold_ops.report.result import OpenPosition, Result
from nicegold_ops.report.significance import Interval
from nicegold_ops.report.verdict import verdict_of
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
        *([("holding", _holding(result.benchmark))] if result.benchmark else []),
        ("costs", _costs(result)),
        ("drawdown", f"{share(result.max_drawdown)} at most{_interval(result, 'max_drawdown', share)}"),
        ("sharpe", f"{ratio(result.sharpe)}{_interval(result, 'sharpe', ratio)}"),
        ("sortino", f"{ratio(result.sortino)}{_interval(result, 'sortino', ratio)}"),
        ("profit factor", ratio(result.profit_factor)),
        ("verdict", verdict_of(result)),
        ("exposure", f"{share(result.exposure)} of the time"),
        *(("open", _position(each)) for each in result.positions),
        *(("failed", _failure(each)) for each in result.failures),
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


def _holding(benchmark: Benchmark) -> str:
    return f"{', '.join(benchmark.symbols)} instead brought {benchmark.total_return:+.2%}"


def _costs(result: Result) -> str:
    """What each took; of what is not known nothing is said."""
    costs = result.costs
    kinds = {
        "commission": costs.commission,
        "swap": costs.swap,
        "spread": costs.spread,
        "slippage": costs.slippage,
    }
    return ", ".join(f"{amount:,.2f} {kind}" for kind, amount in kinds.items() if amount is not None)


def _interval(result: Result, name: str, form: Callable[[float | None], str]) -> str:
    """Where the figure *name* may lie; empty when nobody knows."""
    intervals = result.significance.intervals
    found: Interval | None = getattr(intervals, name) if intervals else None
    return (
        f", {form(found.low)} to {form(found.high)} at {intervals.level:.0%}" if intervals and found else ""
    )


def _position(each: OpenPosition) -> str:
    now = "never priced" if each.price is None else f"now {each.price:.2f}"
    return f"{each.quantity} {each.symbol} from {each.average_price:.2f}, {now}"


def _failure(each: Failure) -> str:
    return f"{each.plugin}.{each.hook}, {each.count:,} times, at first with {each.error}"


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
        made.add_row(veto.plugin, f"{veto.count:,}", veto.reasons[0].text if veto.reasons else "")
    return made
