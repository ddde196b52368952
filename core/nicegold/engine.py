"""The life of a tick.

One input at a time, on one thread, to its end. The engine never asks the clock and never waits:
time, randomness and ids come in from outside, so the same inputs give the same bytes in a
backtest, on paper, live and in a replay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, TypeAlias, cast, get_args

from msgspec.structs import replace

from nicegold.host import ENGINE, Host, Replies, Reply, shown
from nicegold.model import (
    Account,
    Bar,
    Cancel,
    CancelRejected,
    Event,
    Execution,
    Fill,
    Finished,
    Halted,
    Instrument,
    Market,
    Objection,
    Order,
    PluginFailed,
    Quote,
    Refused,
    Rejected,
    Replace,
    Request,
    Started,
    Unknown,
    Vetoed,
)
from nicegold.portfolio import NoRate, Portfolio, opposite_of
from nicegold.values import ZERO, misfit

#: Writes an event where it cannot be lost. If it raises, we stop: an order that is not on record
#: must not be sent.
Record: TypeAlias = Callable[[Event], None]


class Engine:
    """Takes one input after another and lets the plugins of *host* trade on it.

    *cause* is a cell that holds the sequence of the input in hand, for whoever watches the calls.
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
    ) -> None:
        self.portfolio = portfolio
        #: Events told so far; the number of the last one on the journal.
        self.sequence = 0
        self._record = record
        self._cause = [0] if cause is None else cause
        self._flatten = flatten
        self._numbers: dict[str, int] = {}
        #: When each instrument was last heard of, ns UTC; its time may not run backwards.
        self._times = {symbol: portfolio.priced_at(symbol) for symbol in portfolio.instruments}
        self._feeds = frozenset(host.each("stream_market"))
        self._startup, self._shutdown = host.call("startup"), host.call("shutdown")
        self._on_bar, self._on_quote, self._on_fill = map(host.call, ("on_bar", "on_quote", "on_fill"))
        self._match_orders, self._derive_market = map(host.call, ("match_orders", "derive_market"))
        self._check_order, self._check_portfolio = map(host.call, ("check_order", "check_portfolio"))
        self._place_order, self._cancel_order, self._replace_order = map(
            host.call, ("place_order", "cancel_order", "replace_order")
        )
        self._on_event = host.call("on_event")
        self._handlers: dict[type[Event], Callable[..., None]] = {
            Bar: self._handle_bar,
            Quote: self._handle_quote,
            **dict.fromkeys(get_args(Execution), self._handle_execution),
            PluginFailed: self._handle_failure,
            Refused: self._handle_refused,
        }

    # What comes in.

    def start(self, started: Started) -> Replies:
        """Record what the run starts with and open the plugins; answers the failures."""
        self._note(started)
        account = Account(started.cash, started.currency)
        failures = self._startup(self.portfolio.instruments, account, started.seed)
        # Not before: a watcher looks at nothing until it is open.
        self._tell_failures([*self._on_event(started), *failures])
        return failures

    def handle(self, event: Event, origin: str = "") -> None:
        """Take one input, from the plugin *origin*, to its end."""
        self._cause[0] = self.sequence + 1
        self._handlers.get(type(event), self._handle_nonsense)(event, origin)

    def halt(self, plugin: str, reason: str) -> None:
        """Take no new risk from now on; *plugin* says why. Working orders that add risk are cancelled."""
        if self.portfolio.halted:
            return
        self._tell(Halted(plugin=plugin, reason=reason, time=self.portfolio.time))
        for state in self.portfolio.working():
            if not state.order.reduce_only:
                self._cancel(Cancel(order_id=state.order.id, strategy=ENGINE))
        self._close_positions()

    def finish(self, reason: str) -> None:
        """Close the plugins and record that the run ended on purpose."""
        finished = Finished(reason=reason, time=self.portfolio.time)
        # Watchers hear of it while they are open; on the journal it is the last.
        self._tell_failures(self._on_event(finished))
        for reply in self._shutdown():
            self._note(self._failure(reply.plugin, reply.hook, reply.reason))
        self._note(finished)

    # The market.

    def _handle_bar(self, bar: Bar, origin: str) -> None:
        self._handle_market(bar, origin, self._on_bar)

    def _handle_quote(self, quote: Quote, origin: str) -> None:
        self._handle_market(quote, origin, self._on_quote)

    def _handle_market(self, market: Market, origin: str, decide: Callable[..., Replies]) -> None:
        """All that one bar or quote leads to. This is every bar's way: it branches only on what happens."""
        times = self._times
        try:
            fits = market.is_sound and market.time >= times[market.symbol]
        except Exception:  # of a field that is no number, of a symbol that is none of ours
            fits = False
        if not fits:
            self._refuse_market(origin, self._defect(market) or f"time runs backwards: {market}")
            return
        times[market.symbol] = market.time
        self._tell(market)
        matched = self._match_orders(market)
        if matched:
            self._take_executions(matched)
        objections = self._check_portfolio(self.portfolio)
        if objections:
            self._heed(objections)
        replies = decide(market, self.portfolio)
        if replies:
            self._take_requests(replies)
        derived = self._derive_market(market)
        if derived:
            self._take_derived(derived)

    def _take_executions(self, replies: Replies) -> None:
        """What simulated venues made of the market."""
        for reply in replies:
            for execution in self._answers(reply):
                self._execute(execution, reply.plugin)
            if reply.error is not None:
                # Fills may be missing now, and nobody else knows them.
                self.halt(reply.plugin, reply.reason)

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
        """A stream has died on a thread of its own, or cannot be believed: we would trade on silence."""
        self._tell(failure)
        self.halt(failure.plugin, f"{failure.plugin}.{failure.hook} failed: {failure.error}")

    def _handle_refused(self, refused: Refused, origin: str) -> None:
        self._tell(refused)

    def _execute(self, execution: Execution, plugin: str) -> None:
        match execution:
            case Fill():
                self._fill(execution, plugin)
            case _:
                self._tell(execution)

    def _fill(self, fill: Fill, plugin: str) -> None:
        wrong = self._unbookable(fill)
        if wrong:
            self._distrust(plugin, f"reports a fill that cannot be booked: {wrong}")
            return
        known = self.portfolio.has_fill(fill)
        state = self.portfolio.order(fill.order_id)
        mine = replace(
            fill,
            strategy=self.portfolio.strategy_of(fill.order_id),
            rate=self.portfolio.rate(self.portfolio.instruments[fill.symbol].currency),
        )
        self._tell(mine)
        if state is not None and (fill.symbol, fill.side) != (state.order.symbol, state.order.side):
            self.halt(plugin, f"{plugin} reports a fill that is not what {fill.order_id} asked for")
        if not known:
            self._supervise()
            # After a halt too: an entry can fill while its cancel is on the way.
            self._close_positions()
            self._take_requests(self._on_fill(mine, self.portfolio))

    def _unbookable(self, fill: Fill) -> str:
        """Why the portfolio has no place for *fill*; empty when it has."""
        instrument = self.portfolio.instruments.get(fill.symbol)
        if instrument is None:
            return f"{fill.symbol} is not an instrument of this run"
        return self._missing_rate(instrument)

    def _missing_rate(self, instrument: Instrument) -> str:
        try:
            self.portfolio.rate(instrument.currency)
        except NoRate as error:
            return str(error)
        return ""

    def _supervise(self) -> None:
        self._heed(self._check_portfolio(self.portfolio))

    def _heed(self, objections: Replies) -> None:
        for reply in objections:
            self.halt(reply.plugin, reply.reason)

    # What strategies want.

    def _take_requests(self, replies: Replies) -> None:
        for reply in replies:
            requests = self._answers(reply)
            if requests:
                self._take(reply.plugin, requests)

    def _take(self, strategy: str, requests: Iterable[Request]) -> None:
        labels: dict[tuple[str, ...], str] = {}
        for request in requests:
            match request:
                case Order():
                    self._place(self._stamp(strategy, request, labels))
                case Cancel() | Replace():
                    self._change(replace(request, strategy=strategy, time=self.portfolio.time))

    def _stamp(self, strategy: str, order: Order, labels: dict[tuple[str, ...], str]) -> Order:
        """*order* with its id, and with the labels of its list made ids."""
        number = self._numbers[strategy] = self._numbers.get(strategy, 0) + 1
        order_id = f"{strategy}-{number}"
        if order.id:
            labels[(order.id,)] = order_id
        parent = labels.get((order.parent,), order.parent)
        # By parent, as two brackets in one list use the same labels.
        group = labels.setdefault((parent, order.oco), f"{order_id}.{order.oco}") if order.oco else ""
        return replace(
            order, id=order_id, strategy=strategy, time=self.portfolio.time, parent=parent, oco=group
        )

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
        if _is_doubtful(order.id, reply):
            self._doubt(order.id, reply)
        else:
            self._tell(reply.value)

    def _object(self, order: Order) -> bool:
        """Whether anybody objects; then the order is vetoed."""
        objections = [Objection(ENGINE, reason) for reason in self._own_objections(order)]
        # Risk checks are not asked about an order that makes no sense.
        if not objections:
            replies = self._check_order(order, self.portfolio)
            objections = [Objection(reply.plugin, reply.reason) for reply in replies]
        if objections:
            self._tell(Vetoed(order=order, objections=objections, time=order.time))
        return bool(objections)

    def _own_objections(self, order: Order) -> Iterable[str]:
        portfolio = self.portfolio
        instrument = portfolio.instruments.get(order.symbol)
        if instrument is None:
            yield f"{order.symbol} is not an instrument of this run"
        else:
            yield from _off_grid(order, instrument)
            yield from filter(None, [self._missing_rate(instrument)])
        if portfolio.halted and not order.reduce_only:
            yield f"halted: {portfolio.halted}"
        # An exit that is changed may have outlived its parent.
        is_new = portfolio.order(order.id) is None
        if is_new and order.parent and portfolio.order(order.parent) is None:
            yield f"its parent {order.parent} is not working"

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
        stamped = replace(cancel, time=self.portfolio.time)
        self._tell(stamped)
        self._ask(stamped, self._cancel_order(stamped, state.order))

    def _replace(self, request: Replace, order: Order) -> None:
        try:
            amended = replace(request.of(order), time=self.portfolio.time)
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
        elif _is_doubtful(request.order_id, replies[0]):
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
                stamped = self._stamp(ENGINE, order, {})
                self._tell(stamped)
                self._send(stamped)

    # What everybody is told.

    def _tell(self, event: Event) -> None:
        self.sequence += 1
        self._record(event)
        self.portfolio.apply(event)
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
            return cast(Iterable[Any], reply.value)
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
        said = f"answered {shown(reply.value)}" if reply.error is None else reply.reason
        self._tell(Unknown(order_id=order_id, reason=f"{reply.plugin} {said}", time=self.portfolio.time))


def _is_doubtful(order_id: str, reply: Reply) -> bool:
    """Whether a broker's *reply* leaves open what became of the request."""
    return reply.error is not None or reply.value.order_id != order_id


def _off_grid(order: Order, instrument: Instrument) -> Iterable[str]:
    """Why the venue could not take these numbers, if it could not."""
    if order.quantity % instrument.quantity_step:
        yield f"quantity {order.quantity} is not in steps of {instrument.quantity_step}; use to_quantity"
    for name in ("price", "stop_price", "trail"):
        price: Decimal | None = getattr(order, name)
        if price is not None and price % instrument.tick_size:
            yield f"{name} {price} is not on the tick of {instrument.tick_size}; use to_price"
