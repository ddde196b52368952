"""Worker processes that each have one task in hand.

`concurrent.futures` gives up on everything when one process dies, and cannot say what it was
doing. A plugin that crashes its process must cost its own trial only.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from tempfile import gettempdir
from types import TracebackType
from typing import Generic, TypeVar

from nicegold_ops.errors import NicegoldError

Task = TypeVar("Task")
Answer = TypeVar("Answer")

#: How long a wish to stop may wait for an answer.
_LOOK_SECONDS = 0.2
# A child that is forked from us would share our threads' locks and our SQLite connections; this
# server has neither, and has imported once what every child needs.
_processes = get_context("forkserver")
_processes.set_forkserver_preload(["nicegold_ops.sweep.trial"])


class Died(Exception):
    """A worker has ended in the middle of its task; says how."""


class Pool(Generic[Task, Answer]):
    """So many *workers* doing *work*, a function that can be pickled; they end with the pool."""

    def __init__(self, work: Callable[[Task], Answer], workers: int) -> None:
        self._work = work
        self._size = workers
        self._workers: list[_Worker[Task, Answer]] = []

    def __enter__(self) -> Pool[Task, Answer]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        for worker in self._workers:
            worker.end()

    def run(self, tasks: Iterable[Task], stop: threading.Event) -> Iterator[tuple[Task, Answer | Died]]:
        """Each of *tasks* with its answer, as they come, until *stop* is set. Raises what a task raised."""
        waiting = iter(tasks)
        busy: dict[Connection, _Worker[Task, Answer]] = {}
        for task in waiting:
            busy |= self._begin(task)
            if len(busy) == self._size:
                break
        while busy and not stop.is_set():
            for ready in wait(list(busy), _LOOK_SECONDS):
                worker = busy.pop(ready)  # type: ignore[call-overload]  # it is one of ours
                yield worker.task, worker.answer()
                for task in waiting:
                    busy |= self._begin(task, worker)
                    break

    def _begin(
        self, task: Task, worker: _Worker[Task, Answer] | None = None
    ) -> dict[Connection, _Worker[Task, Answer]]:
        """Give *task* to *worker*, or to a new one if there is none or it died."""
        if worker is not None and not worker.is_alive:
            self._workers.remove(worker)
            worker = None
        if worker is None:
            worker = _Worker(self._work)
            self._workers.append(worker)
        worker.give(task)
        return {worker.connection: worker}


class _Worker(Generic[Task, Answer]):
    task: Task

    def __init__(self, work: Callable[[Task], Answer]) -> None:
        self.connection, theirs = _processes.Pipe()
        self._process = _processes.Process(target=_do_all, args=(work, theirs), daemon=True)
        try:
            with _without_interrupts():
                self._process.start()
        except OSError as error:
            raise NicegoldError(
                f"no worker process can be started: {error}; workers talk through sockets in {gettempdir()}: "
                "set TMPDIR to a folder with a short name and room"
            ) from None
        # With the last end closed a read fails, so that a death on either side is noticed.
        theirs.close()
        self.is_alive = True

    def give(self, task: Task) -> None:
        self.task = task
        try:
            self.connection.send(task)
        except OSError:
            self.is_alive = False

    def answer(self) -> Answer | Died:
        """Of the task in hand. Raises what it raised."""
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            return self._died()
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]  # _do_all sends no other

    def end(self) -> None:
        """At once: nothing that it does can be lost, since nothing of it is kept yet."""
        # A plugin may ignore a SIGTERM.
        self._process.kill()
        self._process.join()
        self.connection.close()

    def _died(self) -> Died:
        self.is_alive = False
        self.connection.close()
        self._process.join()
        code = self._process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return Died(f"its process {how}")


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """What is started here never sees Ctrl-C, which reaches the whole group: we say when to end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _do_all(work: Callable[[Task], Answer], tasks: Connection) -> None:
    """What a worker does until nobody asks any more."""
    # What plugins print would run into what the command says.
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    while True:
        try:
            task: Task = tasks.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Answer | BaseException = work(task)
        except BaseException as error:
            answer = error
        try:
            tasks.send(answer)
        except OSError:
            return
