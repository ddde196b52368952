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

from nicegold.host import Host, Replies, Reply
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
from nicegold.portfolio import Portfolio, opposite_of

#: Writes an event where it cannot be lost. If it raises, we stop: an order that is not on record
#: must not be sent.
Record: TypeAlias = Callable[[Event], None]

#: Under this name the engine itself objects, cancels and flattens.
ENGINE = "engine"


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
        self._tell(started)
        account = Account(started.cash, started.currency)
        failures = self._startup(self.portfolio.instruments, account, started.seed)
        self._tell_failures(failures)
        return failures

    def handle(self, event: Event, origin: str = "") -> None:
        """Take one input, from the plugin *origin*, to its end."""
        self._cause[0] = self.sequence + 1
        self._handlers[type(event)](event, origin)

    def halt(self, plugin: str, reason: str) -> None:
        """Take no new risk from now on; *plugin* says why. Working orders that add risk are cancelled."""
        if self.portfolio.halted:
            return
        self._tell(Halted(plugin=plugin, reason=reason, time=self.portfolio.time))
        for state in self.portfolio.working():
            if not state.order.reduce_only:
                self._cancel(Cancel(order_id=state.order.id, strategy=ENGINE))
        if self._flatten:
            self._close_positions()

    def finish(self, reason: str) -> None:
        """Close the plugins and record that the run ended on purpose."""
        self._tell_failures(self._shutdown())
        self._tell(Finished(reason=reason, time=self.portfolio.time))

    # The market.

    def _handle_bar(self, bar: Bar, origin: str) -> None:
        if self._refuses(bar, origin):
            return
        self._tell(bar)
        self._meet_orders(bar)
        replies = self._on_bar(bar, self.portfolio)
        if replies:
            self._take_requests(replies)

    def _handle_quote(self, quote: Quote, origin: str) -> None:
        if self._refuses(quote, origin):
            return
        self._tell(quote)
        self._meet_orders(quote)
        replies = self._on_quote(quote, self.portfolio)
        if replies:
            self._take_requests(replies)

    def _meet_orders(self, market: Market) -> None:
        """Let simulated venues match, risk look at the new mark, and coarser bars reach strategies."""
        for reply in self._match_orders(market):
            for execution in self._answers(reply):
                self._execute(execution, reply.plugin)
            if reply.error is not None:
                # Fills may be missing now, and nobody else knows them.
                self.halt(reply.plugin, reply.reason)
        self._supervise()
        for reply in self._derive_market(market):
            for bar in self._answers(reply):
                self._take_requests(self._on_bar(bar, self.portfolio))

    def _refuses(self, market: Market, origin: str) -> bool:
        """Whether *market* cannot be right, whatever the feed made of it."""
        portfolio = self.portfolio
        if market.is_sound and market.time >= portfolio.priced_at(market.symbol):
            if market.symbol in portfolio.instruments:
                return False
            reason = f"{market.symbol} is not an instrument of this run"
        elif market.is_sound:
            reason = f"time runs backwards: {market}"
        else:
            reason = f"these cannot be prices: {market}"
        self._tell(Refused(plugin=origin or "feed", reason=reason, time=portfolio.time))
        return True

    # What the venue says.

    def _handle_execution(self, execution: Execution, origin: str) -> None:
        self._execute(execution, origin or "broker")

    def _handle_failure(self, failure: PluginFailed, origin: str) -> None:
        """A stream has died on a thread of its own: we would trade on silence."""
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
        if fill.symbol not in self.portfolio.instruments:
            self._tell_failure(plugin, "stream_executions", f"a fill of an unknown instrument: {fill}")
            self.halt(plugin, f"{plugin} reports a fill of {fill.symbol}, which is no instrument of this run")
            return
        known = self.portfolio.has_fill(fill)
        state = self.portfolio.order(fill.order_id)
        mine = fill if state is None else replace(fill, strategy=state.order.strategy)
        self._tell(mine)
        if not known:
            self._supervise()
            self._take_requests(self._on_fill(mine, self.portfolio))

    def _supervise(self) -> None:
        for reply in self._check_portfolio(self.portfolio):
            self.halt(reply.plugin, reply.reason)

    # What strategies want.

    def _take_requests(self, replies: Replies) -> None:
        for reply in replies:
            requests = self._answers(reply)
            if requests:
                self._take(reply.plugin, requests)

    def _take(self, strategy: str, requests: Iterable[Request]) -> None:
        labels: dict[str, str] = {}
        for request in requests:
            match request:
                case Order():
                    self._place(self._stamp(strategy, request, labels))
                case Cancel() | Replace():
                    self._change(replace(request, strategy=strategy, time=self.portfolio.time))

    def _stamp(self, strategy: str, order: Order, labels: dict[str, str]) -> Order:
        """*order* with its id, and with the labels of its list made ids."""
        number = self._numbers[strategy] = self._numbers.get(strategy, 0) + 1
        order_id = f"{strategy}-{number}"
        if order.id:
            labels[order.id] = order_id
        group = labels.setdefault(f"oco {order.oco}", f"{order_id}.{order.oco}") if order.oco else ""
        return replace(
            order,
            id=order_id,
            strategy=strategy,
            time=self.portfolio.time,
            parent=labels.get(order.parent, order.parent),
            oco=group,
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
        answer = reply.value
        if answer is None or answer.order_id != order.id:
            self._doubt(order.id, reply)
            return
        self._tell(answer)

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
        if portfolio.halted and not order.reduce_only:
            yield f"halted: {portfolio.halted}"
        if order.parent and portfolio.order(order.parent) is None:
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
        else:
            self._replace(request, state.order)

    def _refuse(self, request: Cancel | Replace, reason: str) -> None:
        self._tell(CancelRejected(order_id=request.order_id, time=self.portfolio.time, reason=reason))

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
            self._refuse(request, "no broker takes it")
        elif replies[0].error is not None:
            self._doubt(request.order_id, replies[0])

    def _close_positions(self) -> None:
        """Ask the brokers, past the checks: only reductions leave from here, and only on a halt."""
        for symbol, position in self.portfolio.positions.items():
            if position.quantity:
                order = Order(
                    symbol=symbol,
                    side=opposite_of(position),
                    quantity=abs(position.quantity),
                    reduce_only=True,
                )
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
        self._tell(PluginFailed(plugin=plugin, hook=hook, error=error, time=self.portfolio.time))

    def _doubt(self, order_id: str, reply: Reply) -> None:
        """The broker failed in the middle: the venue may have the request, so nobody else is asked."""
        reason = f"{reply.plugin} {reply.reason}" if reply.error else f"{reply.plugin} answered {reply.value}"
        self._tell(Unknown(order_id=order_id, reason=reason, time=self.portfolio.time))


def _off_grid(order: Order, instrument: Instrument) -> Iterable[str]:
    """Why the venue could not take these numbers, if it could not."""
    if order.quantity % instrument.quantity_step:
        yield f"quantity {order.quantity} is not in steps of {instrument.quantity_step}; use to_quantity"
    for name in ("price", "stop_price", "trail"):
        price: Decimal | None = getattr(order, name)
        if price is not None and price % instrument.tick_size:
            yield f"{name} {price} is not on the tick of {instrument.tick_size}; use to_price"
