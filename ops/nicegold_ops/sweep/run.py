"""A sweep under way: what is not on the ledger yet is tried, and goes there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from nicegold_ops.sweep.ledger import Ledger
from nicegold_ops.sweep.plan import Plan
from nicegold_ops.sweep.pool import Died, Pool
from nicegold_ops.sweep.trial import Trial, Tried

#: Told each trial that was tried.
Tell: TypeAlias = Callable[[Trial, Tried], None]
Workers: TypeAlias = Pool[Trial, Tried]


@contextmanager
def workers_of(plan: Plan, count: int) -> Iterator[Workers]:
    """So many processes for the trials of *plan*; what they were at is gone with them."""
    with (
        TemporaryDirectory(prefix="nicegold-") as folder,
        Pool(partial(plan.bench.attempt, scratch=Path(folder)), count) as pool,
    ):
        yield pool


def try_all(
    plan: Plan, trials: Iterable[Trial], ledger: Ledger, pool: Workers, stop: threading.Event, tell: Tell
) -> Mapping[str, Tried]:
    """What each of *trials* came to, by its key, but for those that *stop* left out.

    A trial whose process died is not put on the ledger: the machine may have been the reason, so it
    is tried again next time. Raises DataError when the data change on the way.
    """
    asked = {trial.key: trial for trial in trials}
    found = ledger.find(asked)
    missing = [trial for key, trial in asked.items() if key not in found]
    for trial, answer in pool.run(missing, stop):
        tried = Tried(failed=str(answer)) if isinstance(answer, Died) else answer
        if not isinstance(answer, Died):
            ledger.add(plan, trial, tried)
        # The closes are on the ledger, and too many to keep them all at hand.
        found[trial.key] = tried.without_closes()
        tell(trial, tried)
    return found
