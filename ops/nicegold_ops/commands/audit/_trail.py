"""Where the commands of the audit trail look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from nicegold_ops.audit.document import Document
from nicegold_ops.audit.query import Query, is_pattern, newest
from nicegold_ops.audit.trail import deeds, documents
from nicegold_ops.commands._runs import journal_at, secrets_of
from nicegold_ops.config import Settings, load
from nicegold_ops.errors import DataError
from nicegold_ops.journal import all_runs
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
    with secrets_of(settings) as secrets:
        return stream_of(settings.elasticsearch, secrets, _PATIENCE)


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
    return newest(all_of(store, query), limit)


def all_of(store: sa.Engine, query: Query) -> Iterator[Document]:
    """All that the store has, run by run, each in its order. Runs that cannot be meant are not read."""
    wanted = dict(query.terms).get("nicegold.run.id")
    for run in all_runs(store):
        if wanted is None or is_pattern(wanted) or wanted == run.run:
            yield from (each for each in documents(store, run.run) if query.fits(each))
    yield from (each for each in deeds(store) if query.fits(each))
