from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, count
from typing import Any, NamedTuple, TypeAlias

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from nicegold import (
    Absent,
    Accepted,
    Adopted,
    Bar,
    Busted,
    Cancel,
    Canceled,
    CancelRejected,
    Event,
    Expired,
    Fill,
    Objection,
    Order,
    OrderStatus,
    OrderType,
    Portfolio,
    Position,
    Quote,
    Rejected,
    Replace,
    Replaced,
    Side,
    Started,
    Triggered,
    Unknown,
    Vetoed,
)
from nicegold.testing import ACCOUNT, GOLD, START
from nicegold_ops.errors import DataError
from nicegold_ops.journal import Journal, Run, Told
from nicegold_ops.store.place import StoreFailed, open_store
from nicegold_ops.store.projections import project
from nicegold_ops.store.queries import newest_orders, newest_vetoes, order_with_fills
from nicegold_ops.store.rebuild import rebuild
from tests.ops.store.books import held, rows_of, working
from tests.plugins.test_paper_properties import cases, run

RUN = "r"
STARTED = Started(
    version="test",
    seed=7,
    cash=ACCOUNT.cash,
    currency=ACCOUNT.currency,
    instruments=[GOLD],
    configuration="",
    sources={},
)


def order(number: int = 1, quantity: str = "2", **terms: Any) -> Order:
    given: dict[str, Any] = {"symbol": "XAUUSD", "side": Side.BUY, "strategy": "s", "time": START}
    return Order(**given | terms, id=f"s-{number}", quantity=Decimal(quantity))


def fill(trade: int = 1, number: int = 1, quantity: str = "1", **terms: Any) -> Fill:
    given: dict[str, Any] = {"symbol": "XAUUSD", "side": Side.BUY, "strategy": "s", "time": START}
    price = Decimal(2000 + trade)
    return Fill(
        **given | terms,
        order_id=f"s-{number}",
        trade_id=f"t-{trade}",
        quantity=Decimal(quantity),
        price=price,
        commission=Decimal("0.70"),
    )


def bust(trade: int = 1, number: int = 1) -> Busted:
    return Busted(order_id=f"s-{number}", trade_id=f"t-{trade}", time=START, reason="erroneous")


def numbered_from(first: int, *events: Event) -> list[Told]:
    """*events*, each an input of its own."""
    return [Told(sequence, sequence, event) for sequence, event in enumerate(events, first)]


def told(store: sa.Engine, *events: Event, first: int = 1, run: str = RUN) -> None:
    """Project *events*, numbered from *first*, as one block."""
    with store.begin() as connection:
        project(connection, run, numbered_from(first, *events))


def state_of(store: sa.Engine, number: int = 1) -> tuple[OrderStatus, Decimal]:
    with store.connect() as connection:
        found, _ = order_with_fills(connection, RUN, f"s-{number}")
    assert found is not None
    return found.state.status, found.state.filled


def position_of(store: sa.Engine) -> Decimal:
    return held(store, RUN)["XAUUSD"].quantity


def test_an_order_is_there_with_its_terms_and_how_far_it_has_come(store):
    asked = order(order_type=OrderType.LIMIT, price=Decimal("1999.50"), parent="s-0", oco="s-0.x")

    told(store, STARTED, asked, Accepted(order_id="s-1", time=START, venue_order_id="v-1"), fill())

    with store.connect() as connection:
        [found] = newest_orders(connection, RUN)
    assert (2, asked) == (found.sequence, found.state.order)
    assert (OrderStatus.PARTIALLY_FILLED, Decimal(1), "v-1") == (
        found.state.status,
        found.state.filled,
        found.state.venue_order_id,
    )


def test_a_replace_that_was_asked_for_outlives_its_block(store):
    asked = Replace(order_id="s-1", quantity=Decimal("3.50"), time=START)
    told(store, STARTED, order(), Accepted(order_id="s-1", time=START), asked)

    told(store, Replaced(order_id="s-1", time=START, quantity=Decimal("3.50")), first=5)

    assert Decimal("3.50") == working(store, RUN)["s-1"].order.quantity
    assert None is working(store, RUN)["s-1"].asked


def test_a_trade_that_is_told_twice_counts_once(store):
    told(store, STARTED, order(), fill())

    told(store, fill(), fill(), first=4)

    assert (OrderStatus.PARTIALLY_FILLED, Decimal(1)) == state_of(store)
    assert Decimal(1) == position_of(store)


def test_the_same_block_twice_changes_nothing(store):
    block = [STARTED, order(), Accepted(order_id="s-1", time=START), fill(), Cancel(order_id="s-1")]
    told(store, *block)
    once = rows_of(store, RUN)

    told(store, *block)

    assert once == rows_of(store, RUN)
    assert 1 == working(store, RUN)["s-1"].unanswered


def test_a_block_that_goes_on_from_one_that_was_told_adds_what_is_new(store):
    accepted, cancel = Accepted(order_id="s-1", time=START), Cancel(order_id="s-1")
    told(store, STARTED, order(), accepted, fill(), cancel)

    told(store, accepted, fill(), cancel, cancel, first=3)

    assert 2 == working(store, RUN)["s-1"].unanswered
    assert Decimal(1) == position_of(store)


def test_a_trade_that_comes_after_the_end_counts(store):
    told(store, STARTED, order(), Canceled(order_id="s-1", time=START))

    told(store, fill(), first=4)

    assert (OrderStatus.CANCELED, Decimal(1)) == state_of(store)
    assert Decimal(1) == position_of(store)


def test_a_trade_that_is_taken_back_is_out_of_the_books_and_still_to_be_seen(store):
    told(store, STARTED, order(), fill(), fill(2))

    told(store, bust(2), first=5)

    with store.connect() as connection:
        _, trades = order_with_fills(connection, RUN, "s-1")
    assert [("t-1", False), ("t-2", True)] == [(each.fill.trade_id, each.busted) for each in trades]
    assert (OrderStatus.FILLED, Decimal(1)) == state_of(store)
    assert Decimal(1) == position_of(store)


def test_a_trade_that_is_taken_back_before_it_is_told_is_never_booked(store):
    told(store, STARTED, order(), bust())

    told(store, fill(), first=4)

    assert (OrderStatus.PENDING_NEW, Decimal(0)) == state_of(store)
    assert Decimal(0) == position_of(store)


def test_a_position_that_was_adopted_is_the_venues(store):
    adopted = Adopted(
        broker="desk",
        kind="position",
        about=GOLD.symbol,
        ours="1",
        theirs="3",
        reason="as seen",
        time=5,
        amount=Decimal("6000.5"),
    )

    told(store, STARTED, order(), fill(), adopted)

    assert Position(GOLD.symbol, Decimal(3), Decimal("6000.5")) == held(store, RUN)[GOLD.symbol]


def test_a_trade_of_an_order_that_is_not_ours_is_in_the_position(store):
    told(store, STARTED, fill(number=99))

    with store.connect() as connection:
        assert [] == newest_orders(connection, RUN)
    assert Decimal(1) == position_of(store)


def test_money_is_exact(store):
    sold = fill(2, 2, "1", side=Side.SELL, rate=Decimal("0.3333333333333333333333333333"))
    told(store, STARTED, order(quantity="3"), fill(quantity="3"))

    told(store, order(2, side=Side.SELL), sold, first=4)

    books = Portfolio(ACCOUNT, {"XAUUSD": GOLD})
    for event in (fill(quantity="3"), sold):
        books.apply(event)
    assert books.position("XAUUSD") == held(store, RUN)["XAUUSD"]
    assert "33.33333333333333333333333333" == str(held(store, RUN)["XAUUSD"].realized)


def test_a_nul_in_what_a_plugin_says_fails_no_order(store):
    vetoed = Vetoed(order=order(), objections=[Objection("limit", "no\0way")], time=START)

    told(store, STARTED, vetoed)

    with store.connect() as connection:
        assert ["no\ufffdway"] == [each.reason for each in newest_vetoes(connection, RUN, "limit")]


def test_a_run_that_goes_on_from_another_has_what_that_one_had(store):
    books = Portfolio(ACCOUNT, {"XAUUSD": GOLD})
    for event in (order(), fill(), order(2, "1"), fill(2, 2), order(3), bust(2, 2), bust(9, 9)):
        books.apply(event)

    told(store, STARTED)
    told(store, books.snapshot({"s": 3}), first=2)
    # The venue tells again what it told the run before, and then something new.
    told(store, fill(), fill(2, 2), fill(9, 9), fill(3, 3), first=3)

    for event in (fill(9, 9), fill(3, 3)):
        books.apply(event)
    assert dict(books.orders) == working(store, RUN)
    assert dict(books.positions) == held(store, RUN)
    with store.connect() as connection:
        assert [(0, "s-3"), (0, "s-1")] == [
            (each.sequence, each.state.order.id) for each in newest_orders(connection, RUN)
        ]


def test_a_later_snapshot_says_nothing_new(store):
    books = Portfolio(ACCOUNT, {"XAUUSD": GOLD})
    for event in (order(), fill()):
        books.apply(event)
    told(store, STARTED, order(), fill())
    before = rows_of(store, RUN)

    told(store, books.snapshot({"s": 1}), first=4)

    assert before == rows_of(store, RUN)


def test_what_cannot_be_gone_on_from_is_said(store):
    with pytest.raises(
        DataError, match="no position in XAUUSD of run r to go on from; make its tables again"
    ):
        told(store, order(), fill(), first=2)


def test_what_cannot_be_written_is_said_by_who_writes(store, place):
    """A journal says that trading has stopped, and must see that it was the database."""
    told(store, STARTED)
    Journal(store, Run(RUN, "paper", 1), cause=[0], durable=True, by_reference=False).record(STARTED)
    with store.begin() as connection:
        connection.exec_driver_sql("DROP TABLE fills")

    with pytest.raises(sa.exc.DBAPIError):
        told(store, order(), fill(), first=2)
    with pytest.raises(StoreFailed, match=r"cannot be written: .*fills") as failed:
        rebuild(store, RUN)
    assert str(failed.value).startswith(str(place))


# Any run.


class Step(NamedTuple):
    """What happens next: an event, so many bars that are not recorded, or a snapshot."""

    event: Event | None = None
    bars: int = 0
    snapshot: bool = False


#: Few, so that most of what happens is about something that is there.
numbers, trades = st.integers(1, 2), st.integers(1, 3)
lots = st.sampled_from(["0.01", "0.50", "1", "1.75"])
sides = st.sampled_from(Side)
order_ids = numbers.map("s-{}".format)


def _about(kind: type[Event], **more: Any) -> st.SearchStrategy[Event]:
    return st.builds(kind, order_id=order_ids, time=st.just(START), **more)


fills_ = st.builds(fill, trades, numbers, lots, side=sides)
exact = lots.map(Decimal)
events = st.one_of(
    fills_,
    fills_,
    fills_,
    st.builds(bust, trades, numbers),
    st.builds(bust, trades, numbers),
    _about(Accepted, venue_order_id=st.sampled_from(["", "v"])),
    _about(Rejected, reason=st.just("no")),
    _about(Canceled),
    _about(Expired),
    _about(Triggered),
    _about(Cancel),
    _about(Replace, quantity=st.none() | exact),
    _about(Replaced, quantity=exact),
    _about(CancelRejected, reason=st.just("too late"), sent=st.booleans()),
    _about(Unknown, reason=st.just("no answer")),
    _about(Absent),
    st.builds(
        Vetoed,
        order=numbers.map(order),
        objections=st.lists(
            st.builds(Objection, st.sampled_from("ab"), st.just("no")), min_size=1, max_size=3
        ),
        time=st.just(START),
    ),
)
steps = st.one_of(
    events.map(Step),
    events.map(Step),
    events.map(Step),
    st.integers(1, 3).map(lambda bars: Step(bars=bars)),
    st.just(Step(snapshot=True)),
)
Script: TypeAlias = Sequence[tuple[int, Step]]
#: Orders get their numbers as they come, so how many come before each step is what is drawn.
scripts = st.lists(st.tuples(st.sampled_from([0, 0, 0, 1]), steps), min_size=3, max_size=25)
_names = map("run-{}".format, count())


class Written(NamedTuple):
    """A run that was journaled and projected, and the portfolio that its events make."""

    run: str
    portfolio: Portfolio


def write(
    store: sa.Engine, told: Iterable[Event | int], portfolio: Portfolio, cut: int, again: bool
) -> Written:
    """Journal what is *told*, folding it into *portfolio* and projecting it each *cut* events.

    A number is so many bars that are not recorded. Where *again*, each block comes twice.
    """
    name = next(_names)
    journal = Journal(store, Run(name, "paper", 1), cause=[0], durable=False, by_reference=True)
    waiting: list[Told] = []
    sequence = cause = 0

    def flush() -> None:
        for _ in range(2 if again else 1):
            with store.begin() as connection:
                project(connection, name, waiting)
        waiting.clear()

    for what in told:
        if isinstance(what, int):
            journal.read[Bar][0] += what
            journal.read[Bar][1] = START
            sequence += what
            cause = sequence
            continue
        sequence += 1
        cause = sequence if isinstance(what, Bar | Quote) else cause
        journal.record(what)
        portfolio.apply(what)
        waiting.append(Told(sequence, cause, what))
        if len(waiting) >= cut:
            flush()
    journal.flush()
    flush()
    return Written(name, portfolio)


def books() -> Portfolio:
    return Portfolio(ACCOUNT, {"XAUUSD": GOLD})


def telling(script: Script, portfolio: Portfolio, numbers: Iterator[int]) -> Iterator[Event | int]:
    """What *script* comes to, with *numbers* for its orders."""
    for asked, step in script:
        for _ in range(asked):
            yield order(next(numbers))
        if step.bars:
            yield step.bars
        elif step.snapshot:
            yield portfolio.snapshot({})
        elif step.event is not None:
            yield step.event


def write_script(store: sa.Engine, before: Script, script: Script, cut: int, again: bool) -> Written:
    """A run of *script*, which goes on from where one of *before* ended, if that is anything."""
    numbers, earlier, portfolio = count(1), books(), books()
    for what in telling(before, earlier, numbers):
        if not isinstance(what, int):
            earlier.apply(what)
    begun: list[Event] = [STARTED, earlier.snapshot({})] if before else [STARTED]
    return write(store, chain(begun, telling(script, portfolio, numbers)), portfolio, cut, again)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """One store for all examples, each of which is a run."""
    engine = open_store(tmp_path_factory.mktemp("shared") / "store.sqlite", durable=False)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def shared_in_postgresql(server) -> Iterator[sa.Engine]:
    engine = open_store(server.url(server.new_database()), durable=False)
    yield engine
    engine.dispose()


def check(store: sa.Engine, written: Written) -> None:
    """What the tables have is what the portfolio has, and what they have when they are made again."""
    projected = rows_of(store, written.run)
    positions = {"XAUUSD": Position("XAUUSD")} | dict(written.portfolio.positions)
    assert dict(written.portfolio.orders) == working(store, written.run)
    assert positions == held(store, written.run)

    rebuild(store, written.run)

    assert projected == rows_of(store, written.run)


@settings(max_examples=200)
@given(before=st.just([]) | scripts, script=scripts, cut=st.integers(1, 9), again=st.booleans())
def test_any_run_is_projected_as_the_portfolio_folds_it_and_as_it_is_rebuilt(
    shared, before, script, cut, again
):
    check(shared, write_script(shared, before, script, cut, again))


@settings(max_examples=15)
@given(before=st.just([]) | scripts, script=scripts, cut=st.integers(1, 9), again=st.booleans())
def test_any_run_in_postgresql_too(shared_in_postgresql, before, script, cut, again):
    check(shared_in_postgresql, write_script(shared_in_postgresql, before, script, cut, again))


@settings(max_examples=25)
@given(case=cases, cut=st.integers(1, 9))
def test_any_run_of_the_engine_on_paper_too(shared, case, cut):
    check(shared, write(shared, run(case).events, books(), cut, again=False))
