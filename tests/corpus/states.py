"""What each journal of the corpus comes to, and what was put down of it: `python -m tests.corpus.states`.

That command adds the journals that are not in `states.json` yet. What is in it stays: a build that makes
something else of an old journal is wrong, or says so in its change of that file.
"""

from __future__ import annotations

import hashlib
import lzma
import shutil
import sys
from contextlib import closing
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import sqlalchemy as sa

from nicegold import Account, Portfolio, Started
from nicegold_ops import session
from nicegold_ops.app import bootstrap
from nicegold_ops.commands.replay import Difference, first_difference
from nicegold_ops.config import parse
from nicegold_ops.journal import MarketRead, Received, Run, all_runs, open_journal, read
from nicegold_ops.replayed import answers_in

CORPUS = Path(__file__).parent
STATES = CORPUS / "states.json"
#: Written by nicegold 0.1, by hand: its runs say no configuration, so nothing can repeat them.
FIRST = CORPUS.parent / "ops" / "store" / "journal-0.1.sqlite"


class State(msgspec.Struct, frozen=True):
    """SHA-256 of what a run's portfolio knows at the end: *folded* from its record, and *repeated*."""

    folded: str
    repeated: str | None


def journals() -> list[Path]:
    """The files of the corpus."""
    return [FIRST, *sorted(CORPUS.glob("*.sqlite.xz"))]


def known() -> dict[str, dict[str, State]]:
    """What was put down, by file and run."""
    if not STATES.exists():
        return {}
    return msgspec.json.decode(STATES.read_bytes(), type=dict[str, dict[str, State]])


def unpack(journal: Path, target: Path) -> None:
    """*journal* as it was when it was written."""
    opened = lzma.open if journal.suffix == ".xz" else open
    with opened(journal, "rb") as packed, target.open("wb") as plain:
        shutil.copyfileobj(packed, plain)


def states(store: sa.Engine, folder: Path) -> dict[str, State]:
    """What the runs in *store* come to; *folder* is for what a repetition leaves."""
    return {each.run: _state(store, each, folder) for each in all_runs(store)}


def _state(store: sa.Engine, run: Run, folder: Path) -> State:
    started = _started(store, run)
    repeated = _digest(repeat(store, run, folder)[0]) if started.configuration else None
    return State(_digest(_folded(store, run, started)), repeated)


def _folded(store: sa.Engine, run: Run, started: Started) -> Portfolio:
    instruments = {each.symbol: each for each in started.instruments}
    portfolio = Portfolio(Account(started.cash, started.currency), instruments)
    for event in islice(read(store, run.run), 1, None):
        if not isinstance(event, MarketRead | Received):
            portfolio.apply(event)
    return portfolio


def repeat(store: sa.Engine, run: Run, folder: Path) -> tuple[Portfolio, Difference | None]:
    """The portfolio of *run* where it is lived again, and the first event that is not the same."""
    settings = parse(_started(store, run).configuration, folder / "nicegold.toml")
    answers = answers_in(read(store, run.run))
    app = bootstrap(settings, Run("again", "replay", 0), store=open_journal(None), answers=answers)
    try:
        session.replay(app, read(store, run.run))
        with closing(read(store, run.run)) as before, closing(read(app.store, "again")) as again:
            return app.portfolio, first_difference(before, again, finished=True)
    finally:
        app.close()


def _started(store: sa.Engine, run: Run) -> Started:
    started = next(read(store, run.run))
    assert isinstance(started, Started)
    return started


def _digest(portfolio: Portfolio) -> str:
    return hashlib.sha256(msgspec.json.encode(portfolio.snapshot({}))).hexdigest()


def main() -> None:
    found = known()
    for journal in journals():
        if journal.name not in found:
            with TemporaryDirectory() as name:
                path = Path(name) / "journal.sqlite"
                unpack(journal, path)
                store = open_journal(path)
                found[journal.name] = states(store, Path(name))
                store.dispose()
                sys.stdout.write(f"{journal.name}: {len(found[journal.name])} runs\n")
    STATES.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")


if __name__ == "__main__":
    main()
