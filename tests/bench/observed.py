"""What all watching adds to one call, while a real trace store and a real Elasticsearch get what it tells.

Watched: each call timed, counted, recorded and read; cycles that mattered go on record call by call and to
Jaeger, and another process copies the audit trail to Elasticsearch. Not watched: the same engine, the same
journal with its tables, and nothing of this.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from nicegold import Bar
from nicegold.host import Host
from nicegold.testing import unwatched
from nicegold_ops.app import recorded
from nicegold_ops.calls import CallLog
from nicegold_ops.journal import Run, journal_path, open_journal
from nicegold_ops.projected import ProjectedJournal
from nicegold_ops.store.place import said_of
from nicegold_ops.telemetry import Telemetry
from nicegold_ops.telemetry.beside import BesideLog
from nicegold_ops.telemetry.spans import Spans
from nicegold_ops.telemetry.tracer import Queue, Tracer, otlp
from nicegold_ops.witness import Witness
from tests.bench.calls import LOOKERS, Added, compared
from tests.bench.engines import BUDGET, Outcome, fold, plugins
from tests.bench.walk import scratch
from tests.ops.commandline import CONFIGURATION
from tests.services.elasticsearch import elasticsearch
from tests.services.jaeger import jaeger


class Observed:
    """A run in the store in *folder*, whose cycles go to *traces* where it is *watched*."""

    def __init__(self, folder: Path, traces: str, *, watched: bool) -> None:
        self._folder, self._traces, self._watched = folder, traces, watched
        self._runs = 0
        #: Spans that arrived.
        self.exported = 0

    def __call__(self, bars: Iterable[Bar]) -> Outcome:
        self._runs += 1
        run = f"bench-{self._runs}"
        telemetry = Telemetry(self._folder / run, run)
        host = Host(telemetry.observe if self._watched else unwatched, plugins(LOOKERS))
        store = open_journal(journal_path(self._folder), durable=False)
        log, beside = CallLog(run), BesideLog(telemetry.cause)
        journal = ProjectedJournal(
            store,
            Run(run, "paper", self._runs),
            cause=telemetry.cause,
            durable=False,
            by_reference=True,
            wall=telemetry.wall,
            calls=log,
            committed=beside.committed if self._watched else None,
        )
        telemetry.watch_read(journal.read)
        spans = Spans(run, "paper", telemetry.kind_of, "bench", telemetry.wall, said_of(store))
        tracer = Tracer(spans, Queue(otlp(self._traces, {})))
        cycles = telemetry.cycles(every=1000, budget=BUDGET)
        witness = Witness(cycles, telemetry.cause, log, budget=BUDGET, tracer=tracer, beside=beside)
        if self._watched:
            witness.start()
        record = recorded(journal, telemetry, witness if self._watched else None)
        portfolio = fold(bars, host, record, telemetry.cause, read=journal.read)
        # Nothing trades any more: what is left to be read is not on this thread's account.
        end = Thread(target=witness.close)
        end.start()
        end.join()
        journal.flush()
        self.exported += tracer.queue.exported
        calls = sum(hook.calls for hook in telemetry.summary())
        telemetry.close()
        store.dispose()
        return Outcome(portfolio.fills, portfolio.equity, calls)


def measure(count: int, rounds: int) -> Added | None:
    """Both in turn on *count* bars, round by round; None where a server is missing."""
    try:
        with jaeger() as traces, elasticsearch("9.0.8") as node, scratch() as name:
            folders = {watched: Path(name) / str(watched) for watched in (True, False)}
            ways = {on: Observed(folder, traces.otlp, watched=on) for on, folder in folders.items()}
            with _shipped(folders[True], node.url):
                found = compared(ways[True], ways[False], count, rounds)
            assert ways[True].exported
            return found
    except pytest.skip.Exception:
        return None


@contextmanager
def _shipped(folder: Path, url: str) -> Iterator[None]:
    """`nicegold work` copies what is on record in *folder*, while this lasts."""
    folder.mkdir()
    open_journal(journal_path(folder)).dispose()
    config = folder / "nicegold.toml"
    config.write_text(CONFIGURATION.replace('"state"', '"."') + f'\n[elasticsearch]\nurl = "{url}"\n')
    code = "from nicegold_ops.commands import main; main()"
    command = [sys.executable, "-c", code, "work", f"--config={config}", "--metrics-port=0"]
    with (
        (folder / "work.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            yield
        finally:
            still = process.poll() is None
            process.terminate()
    assert still, (folder / "work.log").read_text()
