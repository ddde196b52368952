"""The life of a tick.

One input at a time, on one thread, to its end. The engine never asks the clock and never waits:
time, randomness and ids come in from outside, so the same inputs give the same bytes in a
backtest, on paper, live and in a replay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias, get_args

from nicegold.answers import Replies, Reply, shown
from nicegold.books import Snapshot
from nicegold.host import ENGINE, Host
from nicegold.model import (
    Absent,
    Account,
    Adopted,
    Bar,
    Break,
    Busted,
    Cancel,
    Canceled,
    CancelRejected,
    Event,
    Execution,
    Expired,
    Fill,
    Finished,
    Found,
    Halted,
    HaltLifted,
    Instrument,
    Market,
    Mended,
    Objection,
    Order,
    OrderStatus,
    OrderType,
    PluginFailed,
    Quote,
    Reconciled,
    Refused,
    Rejected,
    Replace,
    Request,
    Started,
    Statement,
    Swap,
    Unknown,
    Vetoed,
    stamped,
)
from nicegold.portfolio import NoRate, Portfolio, opposite_of, price_of
from nicegold.reconciliation import Comparison, defect
from nicegold.values import ZERO, is_sound_bar, is_sound_quote, misfit

#: Writes an event where it cannot be lost. If it raises, we stop: an order that is not on record
#: must not be sent.
Record: TypeAlias = Callable[[Event], None]

Fold: TypeAlias = Callable[[Any], None]
Sound: TypeAlias = Callable[[Any], bool]
_MARKET: Final = OrderType.MARKET
_EXECUTIONS: Final = get_args(Execution)
_NONE: Final[tuple[Objection, ...]] = ()
#: With these a request leaves: with an Absent, for the second time.
_REQUESTS: Final = (Order, Cancel, Replace, Absent)
_QUESTIONS: Final = frozenset({"fetch_statement", "find_order"})


class Engine:
    """Takes one input after another and lets the plugins of *host* trade on it.

    *cause* is a cell that holds the sequence of the input in hand, for whoever watches the calls.
    *read* has a cell for each kind of market event that can be read again: those are not recorded
    one by one, but counted there, with the time of the latest.
    With *flatten*, a halt also closes what is open; without, it is held.
    """

    def __init__(
        self,
        host: Host,
        record: Record,
        portfolio: Portfolio,
        *,
        cause: list[int] | None = None,
        flatten: bool = False,
        read: Mapping[type[Event], list[int]] | None = None,
    ) -> None:
        self.portfolio = portfolio
        #: Events told so far; the number of the last one on the journal.
        self.sequence = 0
        self._record, self._folds, self._advance = record, portfolio.folds, portfolio.advance
        self._cause = [0] if cause is None else cause
        self._flatten = flatten
        self._numbers: dict[str, int] = {}
        self._feeds = frozenset(host.each("stream_market"))
        self._venues = frozenset(host.each("match_orders"))
        self._startup, self._shutdown = host.call("startup"), host.call("shutdown")
        self._on_bar, self._on_quote, self._on_fill = map(host.call, ("on_bar", "on_quote", "on_fill"))
        self._match_orders, self._derive_market = map(host.call, ("match_orders", "derive_market"))
        self._check_order, self._check_portfolio = map(host.call, ("check_order", "check_portfolio"))
        self._place_order, self._cancel_order, self._replace_order = map(
            host.call, ("place_order", "cancel_order", "replace_order")
        )
        self._on_event = host.call("on_event")
        # What nobody implements is not called, on the way of every bar.
        self._watches, self._supervises = host.implements("on_event"), host.implements("check_portfolio")
        self._derives, self._hears = host.implements("derive_market"), host.implements("on_fill")
        self._rests = host.call("rests")
        #: Whose venue's books are compared with ours; until they agree, no new risk is taken.
        self._compared = frozenset(host.each("fetch_statement"))
        self._is_compared = bool(self._compared)
        #: By order, symbol and currency, the sequence at which it last changed.
        self._touched: dict[str, int] = {}
        #: By order, the sequence at which a request about it last left.
        self._requested: dict[str, int] = {}
        self._compares = False
        #: By broker, why its venue's word is taken for what differs in the first comparison.
        self._adopting: dict[str, str] = {}
        #: The brokers whose last statement could not be compared.
        self._unreadable: set[str] = set()
        #: Whether simulated venues are asked about each market event, or only while an order works.
        self._matches = True
        #: By kind of market event: whether one is sound, where it is counted, who decides.
        self._market: dict[type, tuple[Sound, list[int] | None, Callable[..., Replies]]] = {
            Bar: (is_sound_bar, read.get(Bar) if read else None, self._on_bar),
            Quote: (is_sound_quote, read.get(Quote) if read else None, self._on_quote),
        }
        self._handlers: dict[type, Callable[..., None]] = {
            **dict.fromkeys(_EXECUTIONS, self._handle_execution),
            PluginFailed: self._handle_failure,
            Refused: self._handle_told,
            Statement: self._handle_statement,
            Absent: self._handle_absent,
            Found: self._handle_found,
            Snapshot: self._handle_snapshot,
            Adopted: self._handle_adopted,
            **dict.fromkeys((Break, Mended, Reconciled, HaltLifted), self._handle_told),
        }

    # What comes in.

    def start(self, started: Started) -> Replies:
        """Record what the run starts with and open the plugins; answers the failures."""
        self._note(started)
        account = Account(started.cash, started.currency)
        failures = self._startup(self.portfolio.instruments, account, started.seed)
        rests = self._rests()
        resting = {reply.plugin for reply in rests if reply.value is True}
        self._matches = not self._venues <= resting
        # Not before: a watcher looks at nothing until it is open.
        self._tell_failures([*self._on_event(started), *failures, *(each for each in rests if each.error)])
        return failures

    def handle(self, event: Event | Statement, origin: str = "") -> bool:
        """Take one input, from the plugin *origin*, to its end; answers whether it is a price to go by.

        What a bar or a quote leads to is written out here: this is every bar's way, and it branches
        only on what happens.
        """
        self._cause[0] = sequence = self.sequence + 1
        way = self._market.get(type(event))
        if way is None:
            self._handlers.get(type(event), self._handle_nonsense)(event, origin)
            return False
        market: Any = event
        is_sound, cell, decide = way
        portfolio = self.portfolio
        symbol, time = market.symbol, market.time
        try:
            # An instrument's time may not run backwards.
            fits = is_sound(market) and time >= portfolio.heard_at[symbol]
        except Exception:  # of a field that is no number, of a symbol that is none of ours
            fits = False
        if not fits:
            self._refuse_market(origin, self._defect(market) or f"time runs backwards: {market}")
            return False
        self.sequence = sequence
        if cell is None:
            self._record(market)
        else:
            cell[0] += 1
            cell[1] = time
        portfolio.mark(symbol, price_of(market), time)
        if self._watches:
            self._show(market)
        if self._matches or portfolio.orders:
            self._take_executions(self._match_orders(market))
        if self._supervises:
            self._supervise()
        replies = decide(market, portfolio)
        if replies:
            self._take_requests(replies)
        if self._derives:
            self._take_derived(self._derive_market(market))
        return True

    def halt(self, plugin: str, reason: str) -> None:
        """Take no new risk from now on; *plugin* says why. Working orders that add risk are cancelled."""
        if self.portfolio.halted:
            return
        self._tell(Halted(plugin=plugin, reason=reason, time=self.portfolio.time))
        for state in self.portfolio.working():
            if not state.order.reduce_only:
                self._cancel(Cancel(order_id=state.order.id, strategy=ENGINE))
        self._close_positions()

    def adopt(self, reason: str) -> None:
        """Take each venue's word for what differs when our books and its are next compared.

        A person says so, and the *reason*. It waits for a statement since which nothing has changed, and for
        a price of what the venue holds.
        """
        self._adopting = dict.fromkeys(sorted(self._compared), reason)

    def withdraw(self) -> None:
        """Ask for every working order that adds risk to be cancelled, past the record: it has failed.

        Nothing else leaves then. What became of them, the venue says when we have started again.
        """
        for state in self.portfolio.working():
            if not state.order.reduce_only:
                cancel = Cancel(order_id=state.order.id, strategy=ENGINE, time=self.portfolio.time)
                self._cancel_order(cancel, state.order)

    def finish(self, reason: str) -> None:
        """Close the plugins and record that the run ended on purpose."""
        finished = Finished(reason=reason, time=self.portfolio.time)
        # Watchers hear of it while they are open; on the journal it is the last.
        self._tell_failures(self._on_event(finished))
        for reply in self._shutdown():
            self._note(self._failure(reply.plugin, reply.hook, reply.reason))
        self._note(finished)

    # The market.

    def _take_executions(self, replies: Replies) -> None:
        """What simulated venues made of the market."""
        for reply in replies:
            if reply.error is not None:
                self._tell_failure(reply.plugin, reply.hook, reply.reason)
                # Fills may be missing now, and nobody else knows them.
                self.halt(reply.plugin, reply.reason)
                continue
            for execution in reply.value:
                if type(execution) is Fill:
                    self._fill(execution, reply.plugin)
                else:
                    self._tell(execution)

    def _take_derived(self, replies: Replies) -> None:
        """Let the coarser bars that were completed reach strategies."""
        for reply in replies:
            for bar in self._answers(reply):
                wrong = self._defect(bar)
                if wrong:
                    self._tell_failure(reply.plugin, reply.hook, wrong)
                else:
                    self._take_requests(self._on_bar(bar, self.portfolio))

    def _refuse_market(self, origin: str, reason: str) -> None:
        self._tell(Refused(plugin=origin or "feed", reason=reason, time=self.portfolio.time))

    def _defect(self, market: Market) -> str:
        """Why no plugin should see *market*; empty when there is no reason."""
        try:
            if not market.is_sound or type(market.symbol) is not str:
                return f"these cannot be prices: {shown(market)}"
        except Exception:  # of a field that is no number
            return f"these cannot be prices: {shown(market)}"
        if market.symbol not in self.portfolio.instruments:
            return f"{shown(market.symbol)} is not an instrument of this run"
        return ""

    # What the venue says.

    def _handle_execution(self, execution: Execution, origin: str) -> None:
        wrong = misfit(execution)
        if wrong:
            self._distrust(origin or "broker", f"yielded {type(execution).__name__} whose {wrong}")
        else:
            self._execute(execution, origin or "broker")

    def _handle_nonsense(self, event: object, origin: str) -> None:
        """A plugin yielded what is no input at all; from a broker it may have been a fill."""
        if origin in self._feeds:
            self._refuse_market(origin, f"yielded {shown(event)}, not Bar or Quote")
        else:
            self._distrust(origin or "broker", f"yielded {shown(event)}, not an execution")

    def _distrust(self, plugin: str, error: str) -> None:
        """What we hold may not be what the books say any more."""
        self._handle_failure(self._failure(plugin, "stream_executions", error), plugin)

    def _handle_failure(self, failure: PluginFailed, origin: str) -> None:
        """A stream has died on a thread of its own, or cannot be believed: we would trade on silence.

        A venue that does not answer when it is asked may do so the next time; until then nothing new is sent.
        """
        self._tell(failure)
        if failure.hook not in _QUESTIONS:
            self.halt(failure.plugin, f"{failure.plugin}.{failure.hook} failed: {failure.error}")

    def _handle_told(self, event: Event, origin: str) -> None:
        self._tell(event)

    def _handle_statement(self, statement: Statement, broker: str) -> None:
        """Take what follows from *statement*, each as an input of its own: a replay needs no statement."""
        wrong = defect(statement)
        if wrong:
            self._distrust_statement(broker, wrong)
            return
        self._unreadable.discard(broker)
        self._compares = True
        comparison = Comparison(self.portfolio, statement, broker, self._touched)
        for found in (comparison.missed, comparison.settled, comparison.verdict):
            for event in found():
                self.handle(event, broker)
        self._compares = False
        if broker in self._adopting and comparison.can_be_adopted():
            for adopted in comparison.adopted(self._adopting.pop(broker)):
                self.handle(adopted, broker)
        working = self.portfolio.orders
        self._touched = {
            about: at for about, at in self._touched.items() if at > statement.asked or about in working
        }
        self._requested = {order_id: at for order_id, at in self._requested.items() if order_id in working}

    def _distrust_statement(self, broker: str, wrong: str) -> None:
        """Told once: it is asked again each second, and a person should not hear of it as often."""
        if broker not in self._unreadable:
            self._unreadable.add(broker)
            error = f"answered what cannot be compared: {wrong}"
            self.handle(self._failure(broker, "fetch_statement", error))

    def _handle_adopted(self, adopted: Adopted, origin: str) -> None:
        portfolio = self.portfolio
        self._tell(adopted)
        if adopted.kind == "order" and adopted.about in portfolio.orders:
            reason = f"it does not work at the venue: {adopted.reason}"
            self._tell(Canceled(order_id=adopted.about, time=adopted.time, reason=reason))
        if self._supervises:
            self._supervise()
        if portfolio.halted:
            self._close_positions()

    def _handle_snapshot(self, snapshot: Snapshot, origin: str) -> None:
        """Go on from where another run ended. What it had sent without an answer is in doubt."""
        self._numbers = dict(snapshot.numbers)
        self._tell(snapshot)
        for state in self.portfolio.working():
            if state.status is OrderStatus.PENDING_NEW:
                reason = "the engine stopped before the venue had answered"
                self._tell(Unknown(order_id=state.order.id, reason=reason, time=self.portfolio.time))

    def snapshot(self) -> None:
        """Put all that is known on the journal, so that a recovery need not read what came before."""
        # Not folded in: who takes over from a snapshot has yet to compare its books, and we have.
        self.sequence += 1
        self._record(self.portfolio.snapshot(self._numbers))

    def _handle_absent(self, absent: Absent, origin: str) -> None:
        """The venue never had it: it may leave once more, if nobody objects now."""
        if self._touched.get(absent.order_id, 0) > absent.asked:
            return
        before = self.portfolio.order(absent.order_id)
        self._tell(absent)
        after = self.portfolio.order(absent.order_id)
        if before is None or after is None or before.resent or not after.resent:
            return
        objections = self._objections(after.order)
        if objections:
            why = "; ".join(f"{each.plugin}: {each.reason}" for each in objections)
            reason = f"it never reached the venue, and is not sent again: {why}"
            self._tell(Rejected(order_id=absent.order_id, time=absent.time, reason=reason))
        else:
            self._send(after.order)

    def _handle_found(self, found: Found, origin: str) -> None:
        """What was asked of the venue and has no answer now, will have none."""
        is_working = found.order_id in self.portfolio.orders
        if not is_working or self._requested.get(found.order_id, 0) > found.asked:
            return
        self._tell(found)
        state = self.portfolio.order(found.order_id)
        if self.portfolio.halted and state is not None and not state.order.reduce_only:
            # The cancel of the halt was lost.
            self._cancel(Cancel(order_id=found.order_id, strategy=ENGINE))

    def _execute(self, execution: Execution, plugin: str) -> None:
        if type(execution) is Fill:
            self._fill(execution, plugin)
            return
        self._tell(execution)
        if isinstance(execution, (Canceled, Expired)):
            self._miss_trades(execution)

    def _miss_trades(self, ended: Canceled | Expired) -> None:
        """An order that ended works on in our books only where the venue has filled more than it told."""
        state = self.portfolio.orders.get(ended.order_id)
        if state is not None:
            reason = f"it has ended, the venue has filled {ended.filled} of it and told of {state.filled}"
            self._tell(Unknown(order_id=ended.order_id, reason=reason, time=ended.time))

    def _fill(self, fill: Fill, plugin: str) -> None:
        portfolio, order_id = self.portfolio, fill.order_id
        try:
            rate = portfolio.rate_for(fill.symbol)
        except NoRate as error:
            self._distrust(plugin, f"reports a fill that cannot be booked: {error}")
            return
        fills, state = portfolio.fills, portfolio.orders.get(order_id)
        if state is None and portfolio.has_forgotten(order_id):
            self._distrust(
                plugin, f"reports a fill of {order_id}, which ended too long ago to know its trades"
            )
            return
        if portfolio.adopted and portfolio.is_adopted(fill):
            return
        strategy = portfolio.strategy_of(order_id) if state is None else state.order.strategy
        mine = fill.booked(strategy, rate)
        self._tell(mine)
        if state is not None and (state.order.side is not fill.side or state.order.symbol != fill.symbol):
            self.halt(plugin, f"{plugin} reports a fill that is not what {order_id} asked for")
        if portfolio.fills == fills:
            return
        if self._supervises:
            self._supervise()
        if portfolio.halted:
            # An entry can fill while its cancel is on the way.
            self._close_positions()
        if self._hears:
            self._take_requests(self._on_fill(mine, portfolio))

    def _supervise(self) -> None:
        self._heed(self._check_portfolio(self.portfolio))

    def _heed(self, objections: Replies) -> None:
        for reply in objections:
            self.halt(reply.plugin, reply.reason)

    # What strategies want.

    def _take_requests(self, replies: Replies) -> None:
        for reply in replies:
            if reply.error is not None:
                self._tell_failure(reply.plugin, reply.hook, reply.reason)
            elif reply.value:
                self._take(reply.plugin, reply.value)

    def _take(self, strategy: str, requests: Iterable[Request]) -> None:
        labels: dict[tuple[str, ...], str] = {}
        for request in requests:
            if isinstance(request, Order):
                self._place(self._stamp(strategy, request, labels))
            else:
                self._change(stamped(request, strategy=strategy, time=self.portfolio.time))

    def _stamp(self, strategy: str, order: Order, labels: dict[tuple[str, ...], str]) -> Order:
        """*order* with its id, and with the labels of its list made ids."""
        number = self._numbers[strategy] = self._numbers.get(strategy, 0) + 1
        order_id = f"{strategy}-{number}"
        if order.id:
            labels[(order.id,)] = order_id
        mine = order.stamped(order_id, strategy, self.portfolio.time)
        if not (order.parent or order.oco):
            return mine
        parent = labels.get((order.parent,), order.parent)
        # By parent, as two brackets in one list use the same labels.
        group = labels.setdefault((parent, order.oco), f"{order_id}.{order.oco}") if order.oco else ""
        return stamped(mine, parent=parent, oco=group)

    def _place(self, order: Order) -> None:
        if self._object(order):
            return
        self._tell(order)
        self._send(order)

    def _send(self, order: Order) -> None:
        replies = self._place_order(order)
        if not replies:
            self._tell(Rejected(order_id=order.id, time=order.time, reason="no broker takes it"))
            return
        reply = replies[0]
        if reply.error is not None or reply.value.order_id != order.id:
            self._doubt(order.id, reply)
        else:
            self._tell(reply.value)

    def _object(self, order: Order) -> bool:
        """Whether anybody objects; then the order is vetoed."""
        objections = self._objections(order)
        if not objections:
            return False
        self._tell(Vetoed(order=order, objections=list(objections), time=order.time))
        return True

    def _objections(self, order: Order) -> Sequence[Objection]:
        ours = self._own_objections(order)
        if ours:
            # Risk checks are not asked about an order that makes no sense.
            return [Objection(ENGINE, reason) for reason in ours]
        replies = self._check_order(order, self.portfolio)
        return [Objection(reply.plugin, reply.reason) for reply in replies] if replies else _NONE

    def _own_objections(self, order: Order) -> list[str]:
        portfolio = self.portfolio
        objections = []
        instrument = portfolio.instruments.get(order.symbol)
        if instrument is None or instrument.currency != portfolio.currency:
            try:
                portfolio.rate_for(order.symbol)
            except NoRate as error:
                objections.append(str(error))
        if instrument is not None and (
            order.order_type is not _MARKET or order.quantity % instrument.quantity_step
        ):
            objections += _off_grid(order, instrument)
        if portfolio.halted and not order.reduce_only:
            objections.append(f"halted: {portfolio.halted}")
        # An exit that is changed may have outlived its parent.
        if order.parent and order.parent not in portfolio.orders and order.id not in portfolio.orders:
            objections.append(f"its parent {order.parent} is not working")
        if self._is_compared:
            objections += self._unexplained(order)
        return objections

    def _unexplained(self, order: Order) -> Iterator[str]:
        """What must be known before anything else is sent."""
        portfolio = self.portfolio
        for broker in sorted(self._compared - portfolio.reconciled):
            yield f"our books have not been found to agree with those of {broker}'s venue yet"
        for found in portfolio.breaks.values():
            theirs = f"{found.broker}'s venue has {found.theirs}"
            yield f"{found.kind} {found.about}: we have {found.ours}, {theirs}"
        for state in portfolio.working(order.symbol):
            if state.status is OrderStatus.UNKNOWN and state.order.id != order.id:
                yield f"{state.order.id} is in doubt"

    # What strategies want changed.

    def _change(self, request: Cancel | Replace) -> None:
        state = self.portfolio.order(request.order_id)
        if state is None:
            self._refuse(request, "too late: the order is not working")
        elif state.order.strategy != request.strategy:
            self._refuse(request, f"the order belongs to {state.order.strategy}")
        elif isinstance(request, Cancel):
            self._cancel(request)
        elif not state.is_resting:
            self._refuse(request, f"too early: the order is {state.status.value}")
        else:
            self._replace(request, state.order)

    def _refuse(self, request: Cancel | Replace, reason: str, sent: bool = False) -> None:
        time = self.portfolio.time
        self._tell(CancelRejected(order_id=request.order_id, time=time, reason=reason, sent=sent))

    def _cancel(self, cancel: Cancel) -> None:
        state = self.portfolio.order(cancel.order_id)
        if state is None:
            return
        request = stamped(cancel, time=self.portfolio.time)
        self._tell(request)
        self._ask(request, self._cancel_order(request, state.order))

    def _replace(self, request: Replace, order: Order) -> None:
        try:
            amended = stamped(request.of(order), time=self.portfolio.time)
        except ValueError as error:
            self._refuse(request, str(error))
            return
        if self._object(amended):
            return
        self._tell(request)
        self._ask(request, self._replace_order(request, order))

    def _ask(self, request: Cancel | Replace, replies: Replies) -> None:
        if not replies:
            self._refuse(request, "no broker takes it", sent=True)
        elif replies[0].error is not None or replies[0].value.order_id != request.order_id:
            self._doubt(request.order_id, replies[0])

    def _close_positions(self) -> None:
        """Ask the brokers, past the checks: only reductions leave from here, and only once halted."""
        if not (self._flatten and self.portfolio.halted):
            return
        for symbol, position in list(self.portfolio.positions.items()):
            side = opposite_of(position)
            mine = self.portfolio.working(symbol, ENGINE)
            closing = sum((state.remaining for state in mine if state.order.side is side), ZERO)
            missing = abs(position.quantity) - closing
            if missing > 0:
                order = Order(symbol=symbol, side=side, quantity=missing, reduce_only=True)
                closing_order = self._stamp(ENGINE, order, {})
                self._tell(closing_order)
                self._send(closing_order)

    # What everybody is told.

    def _tell(self, event: Event) -> None:
        self.sequence += 1
        self._record(event)
        self._folds.get(type(event), self._advance)(event)
        if self._is_compared:
            self._touch(event)
        if self._watches:
            self._show(event)

    def _touch(self, event: Event) -> None:
        """Note what *event* changes, unless it is what the statement in hand says."""
        if self._compares and isinstance(event, _EXECUTIONS):
            return
        if isinstance(event, CancelRejected) and not event.sent:
            return  # nothing left, so nothing has changed
        order_id = event.id if isinstance(event, Order) else getattr(event, "order_id", "")
        if order_id:
            self._touched[order_id] = self.sequence
            if isinstance(event, _REQUESTS):
                self._requested[order_id] = self.sequence
        for about in self._moved(event):
            self._touched[about] = self.sequence

    def _moved(self, event: Event) -> tuple[str, ...]:
        """The symbol and the currency of which *event* changes how much we have."""
        match event:
            case Fill() | Swap():
                return event.symbol, self.portfolio.currency
            case Adopted():
                return event.about, self.portfolio.currency
            case Busted():
                fill = self.portfolio.trade(event.order_id, event.trade_id)
                return (fill.symbol, self.portfolio.currency) if fill else ()
            case _:
                return ()

    def _show(self, event: Event) -> None:
        failures = self._on_event(event)
        # A watcher that fails on being told of its failure would never end.
        if failures and not isinstance(event, PluginFailed):
            self._tell_failures(failures)

    def _note(self, event: Event) -> None:
        """Record and fold *event* while the watchers are closed."""
        self.sequence += 1
        self._record(event)
        self.portfolio.apply(event)

    def _answers(self, reply: Reply) -> Iterable[Any]:
        """The list that *reply* holds; a failure is told and holds nothing."""
        if reply.error is None:
            answers: Iterable[Any] = reply.value
            return answers
        self._tell_failure(reply.plugin, reply.hook, reply.reason)
        return ()

    def _tell_failures(self, failures: Replies) -> None:
        for reply in failures:
            self._tell_failure(reply.plugin, reply.hook, reply.reason)

    def _tell_failure(self, plugin: str, hook: str, error: str) -> None:
        self._tell(self._failure(plugin, hook, error))

    def _failure(self, plugin: str, hook: str, error: str) -> PluginFailed:
        return PluginFailed(plugin=plugin, hook=hook, error=error, time=self.portfolio.time)

    def _doubt(self, order_id: str, reply: Reply) -> None:
        """The broker failed in the middle: the venue may have the request, so nobody else is asked."""
        # Said as of an error, by which a replay can repeat it.
        said = f"failed: ValueError: answered {shown(reply.value)}" if reply.error is None else reply.reason
        self._tell(Unknown(order_id=order_id, reason=f"{reply.plugin} {said}", time=self.portfolio.time))


def _off_grid(order: Order, instrument: Instrument) -> list[str]:
    """Why the venue could not take these numbers, if it could not."""
    wrong = []
    if order.quantity % instrument.quantity_step:
        step = instrument.quantity_step
        wrong.append(f"quantity {order.quantity} is not in steps of {step}; use to_quantity")
    tick = instrument.tick_size
    for name in ("price", "stop_price", "trail"):
        price: Decimal | None = getattr(order, name)
        if price is not None and price % tick:
            wrong.append(f"{name} {price} is not on the tick of {tick}; use to_price")
    return wrong
