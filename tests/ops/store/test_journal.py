"""The journal in PostgreSQL, and the one that an earlier nicegold wrote."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from nicegold import Account, Bar, Expired, Portfolio
from nicegold.testing import GOLD, bar, market_order
from nicegold_ops.errors import DataError
from nicegold_ops.journal import (
    BLOCK_SIZE,
    Journal,
    JournalFailed,
    MarketRead,
    Run,
    all_runs,
    find_run,
    open_journal,
    payloads,
    read,
    tail,
)
from nicegold_ops.store.place import open_store
from nicegold_ops.store.rebuild import rebuild
from nicegold_ops.store.tables import blocks, runs
from tests.ops.store.books import held, working
from tests.ops.store.test_projections import STARTED, books, fill, order

pytestmark = pytest.mark.slow

EARLIER = Path(__file__).parent / "journal-0.1.sqlite"
#: The runs in it, with the SHA-256 of their events, and of what their portfolio knows after them.
WRITTEN = {
    Run("20261127T120000Z-live", "live", 1): (
        "fd9fb2bb1513725fa63918535bdf83f848671698aaba73e32ffdef97ca10a0df",
        "386c8218397691ba22455a17d590d2e57667ed521f2827d371baaa539724758d",
    ),
    Run("20261127T130000Z-live", "live", 2): (
        "60163fac07b886e0f9ca526a000505d31d985d2c830031eac1b1c535e9e8a598",
        "c4a25fbb12f09b89e004f6bce1f877895931ea9eda8878be8394407650ed35a9",
    ),
    Run("20261127T140000Z-backtest", "backtest", 3): (
        "82882a0394a580de611a6f29f0606a2923454d20895cd2558ffe32c74d58f749",
        "386c8218397691ba22455a17d590d2e57667ed521f2827d371baaa539724758d",
    ),
}
RUN = Run("r", "paper", 1)


@pytest.fixture
def earlier(tmp_path):
    path = tmp_path / "journal.sqlite"
    shutil.copy(EARLIER, path)
    store = open_journal(path)
    yield store
    store.dispose()


def folded(store: sa.Engine, run: str) -> Portfolio:
    """The portfolio of *run*, from its events alone."""
    portfolio = Portfolio(Account(STARTED.cash, STARTED.currency), {"XAUUSD": GOLD})
    for event in read(store, run):
        if isinstance(event, MarketRead):
            portfolio.time = event.time
        else:
            portfolio.apply(event)
    return portfolio


def state_of(portfolio: Portfolio) -> list[Any]:
    """What a portfolio comes to, in a form that a new field does not change."""
    return [
        [
            portfolio.cash,
            portfolio.commission,
            portfolio.swap,
            portfolio.time,
            portfolio.halted,
            portfolio.fills,
        ],
        [[each.symbol, each.quantity, each.cost, each.realized] for each in portfolio.positions.values()],
        [
            [each.order.id, each.order.quantity, each.order.price, each.status, each.filled]
            for each in portfolio.working()
        ],
    ]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("run", WRITTEN, ids=lambda run: run.run)
def test_a_journal_of_0_1_is_read_and_comes_to_the_same(earlier, run):
    events, state = WRITTEN[run]

    assert list(WRITTEN) == all_runs(earlier)
    assert events == sha256(payloads(earlier, run.run))
    assert state == sha256(msgspec.json.encode(state_of(folded(earlier, run.run))))


@pytest.mark.parametrize("run", WRITTEN, ids=lambda run: run.run)
def test_a_journal_of_0_1_gets_its_projections(earlier, run):
    rebuild(earlier, run.run)

    known = folded(earlier, run.run)
    assert dict(known.orders) == working(earlier, run.run)
    assert dict(known.positions) == held(earlier, run.run)


def test_a_journal_of_0_1_is_written_on(earlier):
    later = Run("r", "paper", 4)
    journal = Journal(earlier, later, cause=[0], durable=True, by_reference=False)

    journal.record(STARTED)

    assert later in all_runs(earlier)
    assert [STARTED] == list(read(earlier, "r"))


# In PostgreSQL as in SQLite.


def test_what_was_written_is_read(store):
    journal = Journal(store, RUN, cause=[0], durable=True, by_reference=True)
    journal.record(STARTED)
    journal.read[Bar][:] = [41, 5]
    journal.record(market_order())
    journal.record(Expired(order_id="s-1", time=1))
    journal.flush()

    assert RUN == find_run(store, None)
    assert [STARTED, MarketRead(events=41, time=5), market_order(), Expired(order_id="s-1", time=1)] == list(
        read(store, "r")
    )
    with store.connect() as connection:
        ends = connection.execute(sa.select(blocks.c.last_sequence).order_by(blocks.c.number)).scalars().all()
    assert [1, 43, 44] == ends


def test_a_long_run_is_read_in_its_order(store):
    bars = [bar(number=number) for number in range(3 * BLOCK_SIZE)]
    journal = Journal(store, RUN, cause=[0], durable=False, by_reference=False)
    for each in bars:
        journal.record(each)
    journal.flush()

    assert bars == list(read(store, "r"))


def test_what_another_connection_has_not_flushed_is_not_there(store, place):
    journal = Journal(store, RUN, cause=[0], durable=True, by_reference=False)
    journal.record(STARTED)
    journal.record(bar())

    another = open_store(place)
    seen = list(read(another, "r"))
    another.dispose()

    assert [STARTED] == seen


def test_the_tail_begins_with_the_last_snapshot(store):
    journal = Journal(store, RUN, cause=[0], durable=True, by_reference=False)
    known = books()
    for event in (STARTED, order(), fill()):
        journal.record(event)
        known.apply(event)
    journal.record(known.snapshot({}))
    journal.record(order(2))

    assert ["Snapshot", "Order"] == [type(event).__name__ for event in tail(store, "r")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            blocks.update().where(blocks.c.number == 1).values(payload=b"[]"),
            "block 1 of run r is missing or was",
        ),
        (
            blocks.update().where(blocks.c.number == 1).values(digest=bytes(32)),
            "block 1 of run r is missing or",
        ),
        (blocks.delete().where(blocks.c.number == 1), "block 1 of run r is missing or was changed"),
    ],
    ids=["payload", "digest", "block"],
)
def test_what_was_tampered_with_is_found(store, change, said):
    journal = Journal(store, RUN, cause=[0], durable=True, by_reference=False)
    for event in (STARTED, order(), order(2)):
        journal.record(event)
    with store.begin() as connection:
        connection.execute(change)

    events = read(store, "r")

    assert STARTED == next(events)
    with pytest.raises(DataError, match=said):
        next(events)


def test_a_run_that_is_there_already_cannot_be_written_again(store):
    Journal(store, RUN, cause=[0], durable=True, by_reference=False)

    with pytest.raises(JournalFailed, match=r"the journal cannot be written: .*; trading has stopped"):
        Journal(store, RUN, cause=[0], durable=True, by_reference=False)


def test_a_server_that_is_gone_stops_the_journal_and_keeps_what_was_committed(server):
    place = server.url(server.new_database())
    store = open_store(place)
    journal = Journal(store, RUN, cause=[0], durable=True, by_reference=False)
    journal.record(STARTED)
    server.kill()
    try:
        with pytest.raises(JournalFailed, match=r"127\.0\.0\.1:\d+/store_\d+: the journal cannot be written"):
            journal.record(order())
    finally:
        server.start()

    assert [STARTED] == list(read(store, "r"))
    store.dispose()


def test_a_list_of_runs_that_cannot_be_read_names_the_store(store, place):
    with store.begin() as connection:
        connection.exec_driver_sql("DROP TABLE blocks")
        connection.execute(sa.schema.DropTable(runs))

    with pytest.raises(DataError, match=r"cannot be read: .*runs") as failed:
        all_runs(store)

    assert str(failed.value).startswith(str(place))
