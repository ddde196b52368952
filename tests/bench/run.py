"""`make bench`: this engine against the peers, against itself unwatched and against a bare loop.

Writes docs/performance.json and the page docs/performance.md when all of it was measured. Ends with 1 when
something that was to be shown is not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from rich.console import Console
from rich.markdown import Markdown

from tests.bench import bulk, calls, costs, memory, observed, orders, page, peers, scaling, shipping, walk
from tests.bench.results import Bench, Race, this_machine, verdicts

DOCS = Path(__file__).parents[2] / "docs"
PARTS = ("race", "calls", "observed", "scaling", "memory", "costs", "orders", "bulk", "shipping")
Found = TypeVar("Found")
#: The tables are wide, and a log has no width of its own.
console = Console(width=None if sys.stdout.isatty() else 150)


class Plan(msgspec.Struct, frozen=True):
    """How much is measured."""

    bars: tuple[int, ...] = (100_000, 500_000)
    rounds: int = 3
    gap_bars: int = 20_000
    call_bars: int = 25_000
    call_rounds: int = 15
    grid: scaling.Grid = scaling.Grid()
    session_seconds: float = 60
    cost_bars: int = 100_000
    cost_rounds: int = 15
    orders: int = 5_000
    recoveries: tuple[int, int] = (100_000, 10_000_000)
    bulk: int = 1_000_000
    shipping: int = 500_000


QUICK = Plan(
    bars=(100_000,),
    rounds=1,
    call_bars=10_000,
    call_rounds=9,
    grid=scaling.QUICK,
    session_seconds=10,
    cost_bars=20_000,
    cost_rounds=7,
    orders=1_000,
    recoveries=(100_000, 200_000),
    bulk=200_000,
    shipping=20_000,
)


def measure(plan: Plan, parts: Sequence[str], contenders: Sequence[peers.Peer]) -> Bench:
    """Measure *parts*, showing each when it is done."""
    machine, races = this_machine(), list[Race]()
    if "race" in parts:
        sizes = [(bars, plan.rounds, False) for bars in plan.bars]
        for bars, rounds, gap in [*sizes, (plan.gap_bars, 1, True)]:
            races.append(race(bars, rounds, contenders, gap=gap))
            show(page.race(races[-1]))
    return Bench(
        machine,
        races,
        _part("calls", parts, page.added, calls.measure, plan.call_bars, plan.call_rounds),
        _part("scaling", parts, page.scaling, scaling.measure, plan.grid),
        _part("memory", parts, page.memory, memory.measure, plan.session_seconds),
        _part("costs", parts, page.costs, costs.measure, plan.cost_bars, plan.cost_rounds),
        _part("orders", parts, page.orders, orders.measure, plan.orders, *plan.recoveries),
        _part("bulk", parts, page.bulk, bulk.measure, plan.bulk),
        _part("shipping", parts, page.shipping, shipping.measure, plan.shipping),
        _part("observed", parts, page.observed, observed.measure, plan.call_bars, plan.call_rounds),
    )


def _part(
    name: str,
    parts: Sequence[str],
    told: Callable[[Found], str],
    work: Callable[..., Found],
    *asked: object,
) -> Found | None:
    """What *work* finds when it is asked, shown; nothing when *name* is not among *parts*."""
    if name not in parts:
        return None
    console.rule(name, align="left", style="dim")
    found = work(*asked)
    show(told(found))
    return found


def race(bars: int, rounds: int, contenders: Sequence[peers.Peer], *, gap: bool) -> Race:
    """All *contenders* in turn, round after round."""
    walk.write(bars, gap=gap)
    left_out = peers.left_out(contenders)
    taking_part = [peer for peer in contenders if peer.name not in left_out]
    run = [[_told(peer, bars, gap=gap) for peer in peers.turns(taking_part)] for _ in range(rounds)]
    everybody = [result for results in run for result in results]
    return Race(bars, gap, run, left_out, peers.disagreements(everybody, bars, gap=gap))


def _told(peer: peers.Peer, bars: int, *, gap: bool) -> peers.Result:
    result = peers.run(peer, bars, gap=gap)
    said = f"{bars:,} bars{' with gaps' if gap else ''}: {peer.name}, {result.cpu:.3f} s"
    console.print(said, style="dim", highlight=False)
    return result


def show(markdown: str) -> None:
    console.print(Markdown(markdown))


def write(bench: Bench) -> None:
    """Write the results, and the page about them."""
    (DOCS / "performance.json").write_bytes(msgspec.json.format(msgspec.json.encode(bench), indent=1) + b"\n")
    (DOCS / "performance.md").write_text(page.page(bench))


def _contenders(only: str) -> list[peers.Peer]:
    """The peers named in *only*, and ourselves; all for none. Exits when a name is nobody's."""
    wanted = {name.strip() for name in only.split(",") if name.strip()} or {each.name for each in peers.PEERS}
    unknown = wanted - {each.name for each in peers.PEERS}
    if unknown:
        sys.exit(
            f"there is no {', '.join(unknown)}; there are {', '.join(each.name for each in peers.PEERS)}"
        )
    return [each for each in peers.PEERS if each.name in wanted | {peers.OURS}]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute; the page is not written")
    parser.add_argument("--bars", help="sizes of the race instead of 100000,500000")
    parser.add_argument("--rounds", type=int, help="of the race, instead of 3")
    parser.add_argument("--only", default="", help="engines of the race, by name and separated by commas")
    parser.add_argument("--parts", default=",".join(PARTS), help="what to measure, instead of %(default)s")
    parser.add_argument("--page", action="store_true", help="only write the page again, from its results")
    parser.add_argument("--json", type=Path, help="write the results there, not into docs/")
    return parser.parse_args()


def _plan(options: argparse.Namespace) -> Plan:
    plan = QUICK if options.quick else Plan()
    if options.bars:
        plan = msgspec.structs.replace(plan, bars=tuple(map(int, options.bars.split(","))))
    return msgspec.structs.replace(plan, rounds=options.rounds or plan.rounds)


def main() -> int:
    options = _options()
    if options.page:
        write(msgspec.json.decode((DOCS / "performance.json").read_bytes(), type=Bench))
        return 0
    plan, parts = _plan(options), options.parts.split(",")
    if not set(parts) <= set(PARTS):
        sys.exit(f"there is no {', '.join(set(parts) - set(PARTS))}; parts are {', '.join(PARTS)}")
    try:
        bench = measure(plan, parts, _contenders(options.only))
    except (peers.PeerFailed, memory.SessionFailed, costs.ProfilerFailed, walk.OtherBars) as failure:
        sys.exit(str(failure))
    found = list(verdicts(bench))
    show(page.shown(found))
    if options.json:
        options.json.write_bytes(msgspec.json.encode(bench))
    elif plan == Plan() and set(parts) == set(PARTS) and not options.only:
        write(bench)
    return int(any(verdict.passed is False for verdict in found))


if __name__ == "__main__":
    sys.exit(main())
