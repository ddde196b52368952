"""Bugs to plant, each in a copy of the code, and how many seeds it takes until the simulator sees them."""

from __future__ import annotations

from typing import NamedTuple


class Bug(NamedTuple):
    """In *file*, *before* becomes *after*: *what* that does wrong.

    *shown* is the simulation, of those that `teeth` goes through, that showed it first.
    """

    name: str
    what: str
    file: str
    before: str
    after: str
    shown: int


ENGINE, PORTFOLIO = "core/nicegold/engine.py", "core/nicegold/portfolio.py"
ORDERS, BOOKS = "core/nicegold/orders.py", "core/nicegold/books.py"
COMPARISON, RECONCILER = "core/nicegold/reconciliation.py", "ops/nicegold_ops/reconciler.py"
JOURNAL, PLACE, RECOVERY = (
    "ops/nicegold_ops/journal.py",
    "ops/nicegold_ops/store/place.py",
    "ops/nicegold_ops/recovery.py",
)

BUGS = (
    # The order path.
    Bug(
        "sent before it is written",
        "an order leaves before it is on record",
        ENGINE,
        "        self._tell(order)\n        self._send(order)\n\n    def _send",
        "        self._send(order)\n        self._tell(order)\n\n    def _send",
        1,
    ),
    Bug(
        "a time-out is a rejection",
        "an order whose answer is missing is taken for rejected",
        ENGINE,
        "            self._doubt(order.id, reply)\n        else:\n            self._tell(reply.value)\n",
        "            self._tell(Rejected(order_id=order.id, time=order.time, reason=reply.reason))\n"
        "        else:\n            self._tell(reply.value)\n",
        1,
    ),
    Bug(
        "a time-out is sent again",
        "an order whose answer is missing is sent again at once",
        ENGINE,
        "            self._doubt(order.id, reply)\n        else:\n            self._tell(reply.value)\n",
        "            self._doubt(order.id, reply)\n            self._place_order(order)\n"
        "        else:\n            self._tell(reply.value)\n",
        1,
    ),
    Bug(
        "sent again unasked",
        "an order that never arrived is sent again although somebody objects now",
        ENGINE,
        "        objections = self._objections(after.order)\n        if objections:\n            why",
        "        objections = _NONE\n        if objections:\n            why",
        25,
    ),
    Bug(
        "halted and still trading",
        "a halt stops nothing",
        ENGINE,
        "        if portfolio.halted and not order.reduce_only:\n            objections.append",
        "        if False:\n            objections.append",
        35,
    ),
    Bug(
        "a halt leaves orders working",
        "a halt does not take working orders back",
        ENGINE,
        "            if not state.order.reduce_only:\n                self._cancel(Cancel(",
        "            if False:\n                self._cancel(Cancel(",
        93,
    ),
    Bug(
        "a lost cancel of a halt",
        "a halt's cancel that was lost is not sent again",
        ENGINE,
        "        if self.portfolio.halted and state is not None and not state.order.reduce_only:\n",
        "        if False:\n",
        599,
    ),
    Bug(
        "breaks are ignored",
        "orders leave while the books disagree",
        ENGINE,
        "        if self._is_compared:\n            objections += self._unexplained(order)\n",
        "",
        7,
    ),
    Bug(
        "foreign trades are dropped",
        "what another terminal trades on the account is not booked",
        ENGINE,
        "        fills, state = portfolio.fills, portfolio.orders.get(order_id)\n",
        "        if not portfolio.strategy_of(order_id):\n            return\n"
        "        fills, state = portfolio.fills, portfolio.orders.get(order_id)\n",
        5,
    ),
    Bug(
        "time runs backwards",
        "a bar that is older than the last is taken",
        ENGINE,
        "            fits = is_sound(market) and time >= portfolio.heard_at[symbol]\n",
        "            fits = is_sound(market) and time >= 0\n            portfolio.time = time\n",
        21,
    ),
    # The portfolio.
    Bug(
        "a trade is booked twice",
        "a trade that is told twice counts twice",
        PORTFOLIO,
        "        if trades and _is_among(fill, trades):\n            return\n        quantity",
        "        quantity",
        37,
    ),
    Bug(
        "trades of one size are one",
        "a second trade of the same quantity at the same price is taken for the first",
        PORTFOLIO,
        "    trade_id = fill.trade_id\n    return any(each.trade_id == trade_id for each in trades)\n",
        "    return any((each.quantity, each.price) == (fill.quantity, fill.price) for each in trades)\n",
        29,
    ),
    Bug(
        "a late trade is dropped",
        "a trade that comes after its order has ended is not booked",
        PORTFOLIO,
        "        if working is None:\n            if not trades",
        "        if working is None and fill.order_id in self._strategies:\n            return\n"
        "        if working is None:\n            if not trades",
        513,
    ),
    Bug(
        "a bust is ignored",
        "a trade that the venue takes back stays",
        PORTFOLIO,
        "        self._trade(fill, -fill.signed_quantity, -fill.commission, lot)\n",
        "",
        89,
    ),
    Bug(
        "a bust keeps its commission",
        "the commission of a trade that was taken back is not given back",
        PORTFOLIO,
        "        self._trade(fill, -fill.signed_quantity, -fill.commission, lot)\n",
        "        self._trade(fill, -fill.signed_quantity, ZERO, lot)\n",
        89,
    ),
    Bug(
        "what is closed costs what is left",
        "closing a part takes its cost from the wrong side",
        PORTFOLIO,
        "    left = cost if closed == held else cost * closed / held\n",
        "    left = cost if closed == held else cost * (held - closed) / held\n",
        1,
    ),
    Bug(
        "money is a float",
        "cash is rounded as a float is",
        PORTFOLIO,
        "        self.cash += amount\n",
        "        self.cash = Decimal(float(self.cash) + float(amount))\n",
        1,
    ),
    Bug(
        "working orders are no exposure",
        "only what is held counts against a limit",
        PORTFOLIO,
        "                    adding += state.remaining\n",
        "                    adding += ZERO\n",
        1,
    ),
    Bug(
        "a new trade before the first bar is forgotten",
        "a trade that comes before any market data is let go of at once",
        PORTFOLIO,
        "                self._note_end(fill.order_id, max(self.time, fill.time))\n",
        "                self._note_end(fill.order_id, self.time)\n",
        355,
    ),
    # The journal.
    Bug(
        "an order is not synced",
        "an order leaves before its block is on the disk",
        JOURNAL,
        "        Started,\n        Order,\n",
        "        Started,\n",
        3,
    ),
    Bug(
        "a commit does not wait",
        "SQLite does not wait for the disk",
        PLACE,
        "{'FULL' if durable else 'OFF'}",
        "{'NORMAL' if durable else 'OFF'}",
        3,
    ),
    Bug(
        "our clock says which run was last",
        "where it is set back, a recovery goes on from another run",
        JOURNAL,
        "        run = _after_the_last(connection, self._run) if self._durable else self._run\n",
        "        run = self._run\n",
        135,
    ),
    Bug(
        "the chain forgets",
        "a block's digest does not cover the one before it",
        JOURNAL,
        "link(self._digest, payload)",
        'link(b"", payload)',
        1,
    ),
    # Recovery.
    Bug(
        "a run that never began is the last",
        "what a run knew is lost when the next does not start",
        RECOVERY,
        "        if isinstance(started, Started) and knew:\n",
        "        if isinstance(started, Started):\n",
        221,
    ),
    Bug(
        "numbers begin anew",
        "after a recovery a strategy's orders have ids that were used",
        RECOVERY,
        "                numbers[strategy] = max(number, numbers.get(strategy, 0))\n",
        "                numbers[strategy] = 0\n",
        7,
    ),
    Bug(
        "a snapshot forgets trades",
        "after a recovery a trade that is told again counts twice",
        PORTFOLIO,
        "            trades={order_id: list(trades) for order_id, trades in self._trades.items()},\n",
        "            trades={},\n",
        3,
    ),
    Bug(
        "what had no answer is fine",
        "after a recovery an order that had no answer is not in doubt",
        ENGINE,
        "            if state.status is OrderStatus.PENDING_NEW:\n                reason",
        "            if False:\n                reason",
        21,
    ),
    Bug(
        "the tail begins too late",
        "what came in the last snapshot's block is not read",
        JOURNAL,
        "    first = _last_with_snapshot(store, run)\n",
        "    first = _last_with_snapshot(store, run) + 1\n",
        3,
    ),
    # Reconciliation.
    Bug(
        "missed trades stay missed",
        "trades that only the venue's statement tells of are not booked",
        COMPARISON,
        "            for fill in self._statement.fills\n",
        "            for fill in ()\n",
        55,
    ),
    Bug(
        "nobody asks about doubts",
        "an order in doubt stays in doubt",
        RECONCILER,
        "        for order in (*self._doubtful(), *overdue, *self._missing()):\n",
        "        for order in (*overdue, *self._missing()):\n",
        21,
    ),
    Bug(
        "nobody asks about changes",
        "a cancel whose answer was lost stays pending",
        RECONCILER,
        "        for order in (*self._doubtful(), *overdue, *self._missing()):\n",
        "        for order in (*self._doubtful(), *self._missing()):\n",
        33,
    ),
)
