"""What a bench has measured, as the page docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from tests.bench.bulk import Bulk
from tests.bench.calls import REFERENCE, Added
from tests.bench.costs import Costs
from tests.bench.memory import WARM, Memory
from tests.bench.orders import Orders
from tests.bench.peers import OURS, PEERS, pinned
from tests.bench.results import Bench, Machine, Race, Verdict, spread, verdicts
from tests.bench.scaling import Scaling
from tests.bench.shipping import Shipping


def page(bench: Bench) -> str:
    """The whole page."""
    parts = [_HEAD, machine(bench.machine), "## What was to be shown", shown(verdicts(bench))]
    if bench.races:
        parts += ["## Against the peers", _RACES, *map(race, bench.races)]
    if bench.added is not None:
        parts += ["## A watched call", added(bench.added)]
    if bench.observed is not None:
        parts += ["## A watched call, with everything that is told", observed(bench.observed)]
    if bench.scaling is not None:
        parts += ["## Bars, plugins and instruments", scaling(bench.scaling)]
    if bench.memory is not None:
        parts += ["## Memory", memory(bench.memory)]
    if bench.orders is not None:
        parts += ["## Orders and recovery", orders(bench.orders)]
    if bench.bulk is not None:
        parts += ["## Market data in a store", bulk(bench.bulk)]
    if bench.shipping is not None:
        parts += ["## The audit trail to Elasticsearch", shipping(bench.shipping)]
    if bench.costs is not None:
        parts += ["## Where the time goes", costs(bench.costs)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


_HEAD = """
# Performance

`make bench` writes this page from `performance.json`, which it writes too. Absolute figures belong to one
machine on one day; ratios are taken round by round, between processes that ran one after the other.

Again: `make bench`, about half an hour and one gigabyte for the peers' environments, which are made below
`$NICEGOLD_BENCH_VENVS` (`~/.cache/nicegold-bench`) with the versions in `tests/bench/environments`. Their
scripts are read from `../shared/bench/peers`, or below `$NICEGOLD_SHARED`; without them only nicegold is
measured. `make bench QUICK=1` takes a few minutes and writes no page.

Not measured: live brokers, reading files, drawing reports, several processes, other machines, and what a
strategy does that is not a cross of averages. A peer's script is the plain way to do this work with it; a
person who knows that peer well may find a faster one.
"""

_RACES = """
The same one-minute bars and the same work for all: a cross of the averages over 10 and 30 closes, 10 units
at market, long or flat, a fee of 0.0001 of the value. Each run is a process of its own, on one core, in turn
with the others. Seconds go from arrays in memory to the final equity and hold the conversion into the
engine's own objects; imports and reading the file are outside. They are the processor's time, so that who
else uses the machine does not count; the wall's time is beside it.

*nicegold* has everything on: each call of each plugin timed, counted and recorded in the flight recorder,
the journal in a file with its chain of hashes, event counters. *Unwatched* watches no call, *engine alone*
has no journal and no counters either; *whole backtest* is everything and what `nicegold backtest` adds, the
equity curve and the feed's counters. The hand-written loops are a floor for an engine of this shape: bars,
orders and fills as objects, four hooks, nothing else. *Watched* times and records its calls in prepared
cells; *pluggy* calls its hooks through pluggy, and nobody watches.

Bars/s, seconds and "we are" are medians of the rounds, with the lowest and the highest; MB is the most that
the process held, and what it held before the work began.
"""


def machine(machine: Machine) -> str:
    """Where and when."""
    pins = ", ".join(f"{peer.name} {pinned(peer)}" for peer in PEERS if peer.environment)
    return table(
        ("", ""),
        [
            ("measured", machine.date),
            ("commit", machine.commit),
            ("processor", f"{machine.processor}, {machine.cores} cores"),
            ("system", f"{machine.kernel}, {machine.python}"),
            ("calls are watched by", machine.watching),
            ("core runs as", machine.core),
            ("peers", pins),
        ],
    )


def shown(verdicts: Iterable[Verdict]) -> str:
    """What was to be shown, and whether it was."""
    words = {True: "yes", False: "**no**", None: "not measured"}
    return table(
        ("what", "measured", "needed", "shown"),
        [(each.what, each.measured, each.needed, words[each.passed]) for each in verdicts],
    )


def race(race: Race) -> str:
    """One race: every engine, the fastest first."""
    title = f"### {race.bars:,} bars{', with gaps' if race.gap else ''}"
    names = [peer.name for peer in PEERS if race.of(peer.name)]
    names.sort(key=lambda name: median(result.cpu for result in race.of(name)))
    notes = [f"{name} is left out: {reason}." for name, reason in race.left_out.items()]
    notes += [f"**{what}.**" for what in race.disagreements]
    if race.gap:
        notes.append("nautilus_trader fills at the close that signalled, the others at the next open.")
    columns = ("engine", "bars/s", "seconds", "on the wall", "we are", "MB (before)", "fills", "final equity")
    return "\n\n".join([title, table(columns, [_row(race, name) for name in names]), *notes])


def _row(race: Race, name: str) -> tuple[str, ...]:
    runs = race.of(name)
    cpu, wall = spread([run.cpu for run in runs]), spread([run.wall for run in runs])
    times = spread(race.times_as_fast(name))
    return (
        name,
        f"{race.bars / cpu.median:,.0f}",
        f"{cpu.median:.3f}{cpu.told('.3f')}",
        f"{wall.median:.3f}",
        "" if name == OURS else f"{times.median:.2f} × as fast{times.told('.2f')}",
        f"{median(run.peak_mb for run in runs):.0f} ({median(run.base_mb for run in runs):.0f})",
        f"{runs[-1].fills:,}",
        f"{runs[-1].equity:,.2f}",
    )


def added(added: Added) -> str:
    """What watching adds to a call."""
    return f"""
With nine strategies on each bar, and a thread beside it that reads each call for the record and the traces,
{_nanoseconds(added)}
"""


def observed(added: Added | None) -> str:
    """The same with all that is told to servers."""
    if added is None:
        return "Not measured: Jaeger or Elasticsearch is not here; `make services` brings them."
    return f"""
The same on a journal with its tables and its outbox, while each cycle that mattered, and of the others one in
a thousand, goes call by call on record and to a real Jaeger, and `nicegold work` copies the audit trail to a
real Elasticsearch in a process of its own: on the thread that trades,
{_nanoseconds(added)}
"""


def _nanoseconds(added: Added) -> str:
    return f"""
watching adds {added.nanoseconds:.0f} ns to a call here (half of the
rounds between {added.low:.0f} and {added.high:.0f}), where the bare loop does {added.bare:,.0f} bars a
second. That is {added.scaled:.0f} ns where it does {REFERENCE:,.0f}, as on the machine for which the bound
was set.
""".strip()


def scaling(found: Scaling) -> str:
    """How cost grows."""
    size = found.largest
    rows = [
        (
            axis.axis,
            ", ".join(f"{each:,}" for each in axis.sizes),
            ", ".join(f"{each:.2f}" for each in axis.seconds),
            f"{axis.fixed:.3f} s + {_each(axis.each)} each",
            f"{axis.slope:.2f} ± {axis.within:.2f}",
        )
        for axis in found.growth
    ]
    return f"""
With everything on; beside the axis that grows a run has one instrument and four plugins. Four more
plugins are two strategies that look at each bar, one that looks at each event and a risk check. The bars
are those of all instruments together. The power is the slope on logarithms, with its 95 % interval; it is
below 1 where a part does not grow.

{table(("axis", "sizes", "seconds", "as a line", "as a power"), rows)}

From these runs alone it follows what {size.bars:,} bars of {size.instruments} instruments with
{size.plugins} plugins cost, if each bar, and each plugin and instrument on each bar, costs the same. That
run took {found.seconds:.1f} s, {found.over:.2f} of what was predicted.
"""


def _each(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if abs(seconds) >= 1e-4 else f"{seconds * 1e6:.2f} µs"


def memory(found: Memory) -> str:
    """What a paper session holds."""
    samples = found.samples
    shown = [samples[round(part / 10 * (len(samples) - 1))] for part in range(11)]
    rows = [(f"{each.bars:,}", f"{each.fills:,}", f"{each.mb:.1f}") for each in shown]
    return f"""
A real `nicegold run` on simulated bars as fast as they come, with a durable journal, sampled from outside.
After the first {WARM:.0%} of its bars it grew by {found.slope:+.2f} MB a million bars ({found.low:+.2f} to
{found.high:+.2f}). `python -m tests.bench.grown` says what grows.

{table(("bars", "fills", "MB resident"), rows)}
"""


def orders(found: Orders) -> str:
    """What an order and a recovery take."""
    rows = [
        (name, f"{each.p50 * 1e3:.2f}", f"{each.p99 * 1e3:.2f}")
        for name, each in (("to the broker", found.sent), ("a bare commit", found.commit))
    ]
    recovered = [(f"{events:,}", f"{seconds:.2f}") for events, seconds in found.recovered.items()]
    return f"""
{found.count:,} orders, each in the journal, in its tables and in the outbox, in one transaction that is
synced before the order is handed to the broker; beside what sqlite3 takes for one row of as many bytes:

{table(("ms", "p50", "p99"), rows)}

From opening the store to knowing all again, reading a tail of events and from the last snapshot on:

{table(("events", "s"), recovered)}
"""


def bulk(found: Bulk) -> str:
    """What it takes to keep bars."""
    rows = [
        (store, *(f"{each.rows / seconds:,.0f}" for seconds in (each.floor, each.kept, each.again)))
        for store, each in found.stores.items()
    ]
    return f"""
Bars that are kept in a store, in rows a second: with the driver alone (COPY, executemany) into a table with
the same key, as `nicegold data store` keeps them, and the same again, of which each is found to be there:

{table(("store", "driver alone", "kept", "kept again"), rows)}
"""


def shipping(found: Shipping | None) -> str:
    """How fast the audit trail is copied."""
    if found is None:
        return "There is no Elasticsearch here; `make services` brings it."
    rows = [
        (name, f"{found.count / seconds:,.0f}")
        for name, seconds in (("`client.bulk` alone", found.floor), ("`nicegold work`", found.shipped))
    ]
    return f"""
{found.count:,} documents into a data stream with a strict mapping, a thousand at once, on a node of these
same cores: by the client alone, with documents that were made before, and from the store, each document
made, sent, looked at and its place noted:

{table(("", "documents a second"), rows)}
"""


def costs(found: Costs) -> str:
    """Where the time goes."""
    layers = [(each.name, f"{each.nanoseconds:,.0f}") for each in found.layers]
    return f"""
What each layer adds to a bar, the best of the rounds:

{table(("layer", "ns a bar"), layers)}

{_functions(found)}
"""


def _functions(found: Costs) -> str:
    if found.unseen:
        return f"Functions were not looked at: {found.unseen}"
    spots = [(f"`{each.function}`", f"{each.own:.1%}", f"{each.whole:.1%}") for each in found.spots]
    return f"""
With everything on, py-spy found the process in these functions, in {found.looks:,} looks. It cannot see into
what is compiled, so core ran as Python, slower. What C does, as in encoding an event, counts for the
function that called it:

{table(("function", "of the time, in itself", "with what it calls"), spots)}
"""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown, figures to the right."""
    lines = [columns, ["---", *["--:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
