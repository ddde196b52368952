"""What was tried, on disk: a trial that is on the ledger is not run again, and counts for ever.

Each trial is one transaction that has reached the disk before the next is looked at, so a kill
loses none that was shown. Trials are kept under what they are, not under the sweep that asked: a
wider sweep finds those of a narrower one.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

import msgspec
import sqlalchemy as sa

from nicegold_ops.errors import DataError, NicegoldError
from nicegold_ops.report.secrets import without_secrets
from nicegold_ops.sweep.plan import CODE, DATA, SWEPT, Plan
from nicegold_ops.sweep.trial import Trial, Tried

_metadata = sa.MetaData()
_trials = sa.Table(
    "trials",
    _metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("strategy", sa.String, nullable=False),
    sa.Column("data", sa.String, nullable=False),
    sa.Column("choice", sa.String, nullable=False),
    sa.Column("window", sa.String, nullable=False),
    sa.Column("has_failed", sa.Boolean, nullable=False),
    sa.Column("sharpe", sa.Float),
    sa.Column("outcome", sa.LargeBinary, nullable=False),
    sa.Index("tried_on", "strategy", "data", "choice"),
)
# Apart, since they are many times as large and only the best's are read again.
_closes = sa.Table(
    "closes",
    _metadata,
    sa.Column("key", sa.String, sa.ForeignKey("trials.key"), primary_key=True),
    sa.Column("closes", sa.LargeBinary, nullable=False),
)
_sweeps = sa.Table(
    "sweeps",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("configuration", sa.String, nullable=False),
    sa.Column("began_at", sa.BigInteger, nullable=False),
    sa.Column("context", sa.LargeBinary, nullable=False),
)
#: SQLite takes 999 values in one question everywhere.
_AT_ONCE = 900


class LedgerFailed(NicegoldError):
    """The ledger cannot be written; what would be tried now would be lost."""


class Ledger:
    """The ledger in a *state* folder, made when missing. Raises DataError when the file is none."""

    def __init__(self, state: Path) -> None:
        self.path = state / "sweeps" / "ledger.sqlite"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._store = sa.create_engine(f"sqlite:///{self.path}")
        sa.event.listen(self._store, "connect", _prepare)
        try:
            _metadata.create_all(self._store)
        except sa.exc.DatabaseError as error:
            self.close()
            raise DataError(
                f"{self.path} cannot be used as a ledger: {error.orig}; "
                "move it away, or name another folder in [run] state"
            ) from None

    def close(self) -> None:
        self._store.dispose()

    def add(self, plan: Plan, trial: Trial, tried: Tried) -> None:
        """Keep what *trial* came to; on return it is on the disk. Raises LedgerFailed if it cannot be."""
        values = {
            "key": trial.key,
            "strategy": plan.strategy,
            "data": plan.data,
            "choice": trial.choice,
            "window": trial.seen,
            "has_failed": bool(tried.failed),
            "sharpe": tried.sharpe,
            "outcome": msgspec.json.encode(tried.without_closes()),
        }
        closes = {"key": trial.key, "closes": msgspec.msgpack.encode(tried.closes)}
        try:
            with self._store.begin() as connection:
                # Another sweep may have done the same in the meantime.
                connection.execute(_trials.insert().prefix_with("OR REPLACE").values(**values))
                connection.execute(_closes.insert().prefix_with("OR REPLACE").values(**closes))
        except sa.exc.DBAPIError as error:
            raise LedgerFailed(
                f"{self.path} cannot be written: {error.orig}; what was tried before is kept"
            ) from None

    def find(self, keys: Iterable[str]) -> dict[str, Tried]:
        """Those of *keys* that were tried, without their closes."""
        found = {}
        waiting = iter(keys)
        query = sa.select(_trials.c.key, _trials.c.outcome)
        with self._store.connect() as connection:
            while some := list(islice(waiting, _AT_ONCE)):
                for row in connection.execute(query.where(_trials.c.key.in_(some))):
                    # Figures that this version does not have are computed again.
                    with suppress(msgspec.ValidationError):
                        found[row.key] = msgspec.json.decode(row.outcome, type=Tried)
        return found

    def closes(self, key: str) -> dict[int, float]:
        """The equity at the end of each trading day of the trial *key*, which is on the ledger."""
        with self._store.connect() as connection:
            packed = connection.scalars(sa.select(_closes.c.closes).where(_closes.c.key == key)).one()
        return msgspec.msgpack.decode(packed, type=dict[int, float])

    def tried_before(self, plan: Plan, seen: str) -> dict[str, float | None]:
        """All that was ever tried of the plan's strategy on its data, whatever the window.

        Each choice has its Sharpe ratio of a day in the window *seen*, None where it has none there.
        """
        columns = (_trials.c.choice, _trials.c.window, _trials.c.sharpe)
        about = (_trials.c.strategy == plan.strategy, _trials.c.data == plan.data, ~_trials.c.has_failed)
        found: dict[str, float | None] = {}
        with self._store.connect() as connection:
            for row in connection.execute(sa.select(*columns).where(*about).order_by(_trials.c.key)):
                sharpe = row.sharpe if row.window == seen else None
                found[row.choice] = found.get(row.choice) if sharpe is None else sharpe
        return found

    def begin(self, plan: Plan) -> list[str]:
        """Note that *plan* begins; answers what has changed since the last sweep of its configuration."""
        configuration, context = str(plan.bench.path.absolute()), _shown(plan.context)
        of_this = _sweeps.c.configuration == configuration
        last = sa.select(_sweeps.c.context).where(of_this).order_by(_sweeps.c.number.desc()).limit(1)
        values = {
            "configuration": configuration,
            "began_at": time.time_ns(),
            "context": msgspec.json.encode(context),
        }
        with self._store.begin() as connection:
            before = connection.scalar(last)
            connection.execute(_sweeps.insert().values(**values))
        return [] if before is None else differences(msgspec.json.decode(before), context)


def _shown(context: Mapping[str, str]) -> dict[str, str]:
    """*context* without what nobody should read in a file."""
    lines = {key: without_secrets(f"{key} = {said}") for key, said in context.items()}
    return {key: line.partition(" = ")[2] for key, line in lines.items()}


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What has changed between two contexts, said to a person; but for what either of them swept."""
    changed = [key for key in dict.fromkeys([*before, *now]) if before.get(key) not in (now.get(key), SWEPT)]
    code = [key.removeprefix(CODE) for key in changed if key.startswith(CODE) and before.get(key)]
    said = [_difference(key, before.get(key), now.get(key)) for key in changed if not key.startswith(CODE)]
    return [*said, *([f"the code of {', '.join(code)} changed"] if code else [])]


def _difference(key: str, before: str | None, now: str | None) -> str:
    if before is None or now is None:
        return f"{key} is {'gone' if now is None else 'new'}"
    return f"{key} changed" if key.startswith(DATA) else f"{key} was {before} and is {now}"
