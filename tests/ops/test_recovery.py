"""One live run after another: what the next knows of the last."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from nicegold import (
    Accepted,
    Adopted,
    Bar,
    Break,
    Canceled,
    Event,
    Fill,
    HaltLifted,
    Instrument,
    Order,
    OrderStatus,
    Reconciled,
    Side,
    Snapshot,
    Statement,
    Unknown,
    VenueOrder,
    hookimpl,
    plugin,
)
from nicegold.testing import ACCOUNT, GOLD, bar, encoded, market_order
from nicegold_ops import session
from nicegold_ops.app import App, bootstrap
from nicegold_ops.config import PluginSettings, RunSettings, Settings
from nicegold_ops.errors import ConfigurationError, DataError
from nicegold_ops.journal import Run, journal_path, open_journal, read, tail
from nicegold_ops.replayed import answers_in
from nicegold_ops.store.tables import blocks

LOT = Decimal("1.00")


@plugin
class Feed:
    """Has no bars: the tests hand them over. A session that reads it goes on *until* it is told to end."""

    until: threading.Event = field(default_factory=threading.Event)

    @hookimpl
    def stream_market(self) -> Iterator[Bar]:
        assert self.until.wait(30)
        yield from ()


@plugin
class Watch:
    """Waits for books that agree."""

    reconciled: threading.Event = field(default_factory=threading.Event)

    @hookimpl
    def on_event(self, event: Event) -> None:
        if isinstance(event, Reconciled):
            self.reconciled.set()


@plugin
class Buys:
    """Asks for a lot on each bar."""

    @hookimpl
    def on_bar(self) -> list[Order]:
        return [market_order(quantity="1.00")]


@plugin
class Free:
    """Objects to nothing."""

    @hookimpl
    def check_order(self) -> str | None:
        return None


@plugin
class Desk:
    """Takes orders for a venue that is the test's to play; lost where it says so."""

    lost: bool = False
    statement: Statement | None = None
    asked: list[Order] = field(default_factory=list)

    @hookimpl
    def place_order(self, order: Order) -> Accepted:
        self.asked.append(order)
        if self.lost:
            raise TimeoutError(f"no answer about {order.id}")
        return Accepted(order_id=order.id, time=order.time, venue_order_id=f"v-{order.id}")

    @hookimpl
    def fetch_statement(self, since: int) -> Statement | None:
        return self.statement

    @hookimpl
    def find_order(self, order: Order) -> list[Any] | None:
        return None


class Live:
    """A live run in *folder*, which goes on where the last one there ended."""

    def __init__(
        self,
        folder: Path,
        number: int = 1,
        *,
        lost: bool = False,
        start: bool = True,
        instruments: tuple[Instrument, ...] = (GOLD,),
    ) -> None:
        chosen: dict[str, tuple[type, dict[str, Any]]] = {
            "feed": (Feed, {}),
            "buys": (Buys, {}),
            "free": (Free, {}),
            "watch": (Watch, {}),
            "desk": (Desk, {"lost": lost}),
        }
        self.settings = Settings(
            run=RunSettings(mode="live", cash=ACCOUNT.cash, currency=ACCOUNT.currency, state=folder),
            instruments={each.symbol: each for each in instruments},
            plugins=tuple(
                PluginSettings(name=name, use=name, values=values, place="", plugin=each)
                for name, (each, values) in chosen.items()
            ),
            text="",
        )
        self.run = Run(f"live-{number}", "live", number)
        (folder / "runs" / self.run.run).mkdir(parents=True)
        # The venue's, by its statements.
        self.app: App = bootstrap(self.settings, self.run, wall=lambda: 1)
        self.desk, self.feed, self.watch = map(self._plugin, ("desk", "feed", "watch"))
        self._bars = 10 * number
        if start:
            self.app.engine.start(self.app.started)
            if self.app.resumed is not None:
                self.app.engine.handle(self.app.resumed)

    def _plugin(self, name: str) -> Any:
        return self.app.host.plugins[name].plugin

    def agree(self, **what: Any) -> None:
        given: dict[str, Any] = {"time": 1, "since": 0, "orders": [], "fills": [], "positions": {}}
        statement = Statement(**given | what, asked=self.app.engine.sequence)
        self.app.engine.handle(statement, "desk")

    def bar(self) -> None:
        self._bars += 1
        self.app.engine.handle(bar(number=self._bars), "feed")

    def kill(self) -> None:
        """Let go of everything, with nothing written that was not durable."""
        self.app.telemetry.close()
        self.app.store.dispose()
        assert self.app.fence is not None
        self.app.fence.close()

    def known(self) -> Snapshot:
        return replace(self.app.portfolio.snapshot(self.app.engine._numbers), breaks=[])


def again_of(live: Live, recorded: list[Event]) -> App:
    """What *live* recorded, replayed."""
    again = bootstrap(
        live.settings,
        Run("again", "replay", 1),
        store=open_journal(None),
        answers=answers_in(iter(recorded)),
    )
    session.replay(again, recorded)
    return again


def fill(order_id: str, trade_id: str) -> Fill:
    return Fill(
        order_id=order_id,
        trade_id=trade_id,
        time=2,
        symbol="XAUUSD",
        side=Side.BUY,
        quantity=LOT,
        price=Decimal("2000.00"),
    )


def working(order_id: str) -> VenueOrder:
    return VenueOrder(
        order_id=order_id, venue_order_id=f"v-{order_id}", symbol="XAUUSD", side=Side.BUY, quantity=LOT
    )


def store_in(folder: Path) -> sa.Engine:
    return open_journal(journal_path(folder))


def test_the_next_run_knows_what_the_last_one_had_put_on_record_when_it_was_killed(tmp_path):
    first = Live(tmp_path)
    first.agree()
    first.bar()
    first.app.engine.handle(fill("buys-1", "t-1"), "desk")
    first.bar()
    # The last is on the disk because an order has left after it.
    before = first.known()
    first.kill()

    second = Live(tmp_path, 2)

    assert encoded([replace(before, working=[])]) == encoded([replace(second.known(), working=[])])
    assert [("buys-2", OrderStatus.UNKNOWN)] == [
        (each.order.id, each.status) for each in second.app.portfolio.working()
    ]
    second.kill()


def test_nothing_new_leaves_before_the_venue_agrees_with_what_was_recovered(tmp_path):
    first = Live(tmp_path)
    first.agree()
    first.bar()
    first.kill()
    second = Live(tmp_path, 2)

    second.bar()
    assert [] == second.desk.asked
    second.agree(orders=[working("buys-1")])
    second.bar()

    # The second was vetoed.
    assert ["buys-3"] == [each.id for each in second.desk.asked]
    second.kill()


def test_an_order_whose_answer_was_never_recorded_is_in_doubt_and_not_sent_again(tmp_path):
    first = Live(tmp_path, lost=True)
    first.agree()
    first.bar()
    first.kill()

    second = Live(tmp_path, 2)

    assert [OrderStatus.UNKNOWN] == [each.status for each in second.app.portfolio.working()]
    assert [] == second.desk.asked
    second.kill()


def test_an_order_that_was_vetoed_leaves_its_number_unused(tmp_path):
    first = Live(tmp_path)
    first.bar()
    first.agree()
    first.app.journal.flush()
    first.kill()
    second = Live(tmp_path, 2)
    second.agree()

    second.bar()

    assert ["buys-2"] == [each.id for each in second.desk.asked]
    second.kill()


def test_a_run_after_a_run_after_a_run(tmp_path):
    for number in range(1, 4):
        live = Live(tmp_path, number)
        live.agree(
            orders=[working(f"buys-{each}") for each in range(1, number)],
        )
        live.bar()
        live.kill()

    last = Live(tmp_path, 4)

    assert ["buys-1", "buys-2", "buys-3"] == [each.order.id for each in last.app.portfolio.working()]
    last.kill()


def test_a_halt_outlives_the_run_until_a_person_lifts_it(tmp_path):
    first = Live(tmp_path)
    first.app.engine.halt("limit", "too much")
    first.kill()
    second = Live(tmp_path, 2)
    assert "too much" == second.app.portfolio.halted

    second.app.engine.handle(HaltLifted(reason="the limit was raised"))
    second.kill()

    third = Live(tmp_path, 3)
    assert "" == third.app.portfolio.halted
    third.kill()


def test_what_was_adopted_outlives_the_run(tmp_path):
    first = Live(tmp_path)
    first.bar()
    first.app.engine.adopt("as seen on their screen")
    first.agree(positions={"XAUUSD": LOT}, cash=ACCOUNT.cash)
    before = first.known()
    first.kill()

    second = Live(tmp_path, 2)

    assert encoded([before]) == encoded([second.known()])
    assert LOT == second.app.portfolio.position("XAUUSD").quantity
    second.kill()


def test_a_replay_adopts_what_the_run_adopted(tmp_path):
    first = Live(tmp_path)
    first.agree()
    first.bar()
    first.app.engine.adopt("as seen on their screen")
    first.agree(positions={"XAUUSD": LOT})
    first.agree(positions={"XAUUSD": LOT})
    first.bar()
    first.kill()
    recorded = list(read(store_in(tmp_path), "live-1"))

    again = again_of(first, recorded)

    repeated = list(read(again.store, "again"))
    assert {Adopted, Canceled} < {type(each) for each in recorded}
    assert encoded(recorded) == encoded(repeated[: len(recorded)])
    assert LOT == again.portfolio.position("XAUUSD", "").quantity
    again.close()


def test_a_person_takes_the_venues_word_when_a_live_session_starts(tmp_path):
    live = Live(tmp_path, start=False)
    live.desk.statement = Statement(
        time=1, since=0, orders=[], fills=[], positions={"XAUUSD": LOT}, costs={"XAUUSD": Decimal(2000)}
    )
    live.feed.until = live.watch.reconciled

    session.paper(live.app, stop=threading.Event(), adopt="as seen on their screen")

    told = [each for each in read(live.app.store, "live-1") if isinstance(each, Break | Adopted)]
    assert [Break, Adopted] == [type(each) for each in told]
    assert LOT == live.app.portfolio.position("XAUUSD").quantity
    live.kill()


def test_the_tail_begins_at_the_last_snapshot(tmp_path):
    live = Live(tmp_path)
    live.agree()
    live.bar()
    live.app.engine.snapshot()
    live.bar()
    live.app.engine.snapshot()
    live.bar()
    live.kill()

    events = list(tail(store_in(tmp_path), "live-1"))

    whole = list(read(store_in(tmp_path), "live-1"))
    assert isinstance(events[0], Snapshot)
    assert 1 == sum(isinstance(each, Snapshot) for each in events)
    assert encoded(whole[-len(events) :]) == encoded(events)


def test_a_tail_that_was_changed_is_refused(tmp_path):
    live = Live(tmp_path)
    live.agree()
    live.app.engine.snapshot()
    live.bar()
    live.kill()
    store = store_in(tmp_path)
    with store.begin() as connection:
        last = connection.execute(sa.select(sa.func.max(blocks.c.number))).scalar()
        connection.execute(
            blocks.update().where(blocks.c.number == last).values(payload=b'{"event":"Finished"}\n')
        )

    with pytest.raises(DataError, match=r"block \d+ of run live-1 is missing or was changed"):
        Live(tmp_path, 2)


def test_an_instrument_that_was_traded_and_is_gone_is_named(tmp_path):
    first = Live(tmp_path)
    first.agree()
    first.bar()
    first.app.engine.handle(fill("buys-1", "t-1"), "desk")
    first.kill()

    with pytest.raises(DataError, match="live-1, traded 'XAUUSD', which is no instrument of this one"):
        Live(tmp_path, 2, instruments=(replace(GOLD, symbol="EURUSD"),))


def test_a_replay_answers_for_the_broker_and_reaches_no_venue(tmp_path):
    first = Live(tmp_path, lost=True)
    first.agree()
    first.bar()
    first.agree(orders=[working("buys-1")])
    first.app.engine.handle(fill("buys-1", "t-1"), "desk")
    first.kill()
    recorded = list(read(store_in(tmp_path), "live-1"))

    again = again_of(first, recorded)

    repeated = list(read(again.store, "again"))
    assert Unknown in {type(each) for each in recorded}
    assert encoded(recorded) == encoded(repeated[: len(recorded)])
    again.close()


@pytest.mark.parametrize("hook", ["fetch_statement", "find_order"])
def test_a_broker_whose_venue_cannot_be_asked_does_not_trade_live(tmp_path, monkeypatch, hook):
    monkeypatch.delattr(Desk, hook)

    with pytest.raises(ConfigurationError, match=f"desk has no {hook}; use one that has"):
        Live(tmp_path)
