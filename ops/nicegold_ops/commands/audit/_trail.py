"""Where the commands of the audit trail look."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from nicegold_ops.audit.document import Document
from nicegold_ops.audit.query import Query, newest
from nicegold_ops.audit.trail import documents
from nicegold_ops.commands._runs import journal_at
from nicegold_ops.config import Settings, load
from nicegold_ops.errors import DataError
from nicegold_ops.journal import all_runs
from nicegold_ops.secrets import Local, Secrets
from nicegold_ops.ship.client import stream_of
from nicegold_ops.ship.elasticsearch import AuditStream, Busy, Refused

#: Seconds for an answer: a person waits.
_PATIENCE = 10.0


@contextmanager
def store_at(config: Path, state: Path | None) -> Iterator[sa.Engine]:
    """The store that options name."""
    _, store = journal_at(config, state)
    try:
        yield store
    finally:
        store.dispose()


def copy_of(config: Path, state: Path | None) -> AuditStream | None:
    """The copy in Elasticsearch, where a configuration names one."""
    if state is not None:
        return None
    settings: Settings = load(config)
    if settings.elasticsearch is None:
        return None
    secrets = Secrets(settings.vault, Local(os.environ))
    try:
        return stream_of(settings.elasticsearch, secrets, _PATIENCE)
    finally:
        secrets.close()


def found_in(copy: AuditStream, query: Query, limit: int) -> list[Document]:
    """What Elasticsearch has, each event once. Raises DataError that says how to go on without it."""
    try:
        hits = copy.search(query.body(limit))["hits"]["hits"]
    except (Busy, Refused) as error:
        raise DataError(f"{error}; --journal looks into the journal itself") from None
    # After a roll-over, what was sent twice may be there twice.
    return list({hit["_source"]["event.id"]: hit["_source"] for hit in hits}.values())


def found_by(store: sa.Engine, query: Query, limit: int) -> list[Document]:
    """What the store itself has."""
    wanted = dict(query.terms).get("nicegold.run.id")
    runs = [each.run for each in all_runs(store) if wanted is None or query_names(wanted, each.run)]
    return newest((each for run in runs for each in documents(store, run) if query.fits(each)), limit)


def query_names(wanted: str, run: str) -> bool:
    """Whether a run of that name may be meant: a pattern may mean any."""
    return "*" in wanted or "?" in wanted or wanted == run
