"""Everything a plugin may do, in the order in which it happens.

`stream_*` returns an iterator and gets a thread; `on_*` is told; `check_*` may object; plain
verbs do one thing; `register_*` is handed something to register on. An implementation may take
fewer arguments than its hook offers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pluggy

from nicegold.model import (
    Absent,
    Accepted,
    Account,
    Alert,
    Bar,
    Cancel,
    Event,
    Execution,
    Fill,
    Health,
    Instrument,
    Market,
    Order,
    Placed,
    Quote,
    Rejected,
    Replace,
    Request,
    Source,
    Statement,
)
from nicegold.plugin import PROJECT
from nicegold.portfolio import Portfolio
from nicegold.quality import Reject

hookspec = pluggy.HookspecMarker(PROJECT)

# Any plugin.


@hookspec
def startup(instruments: Mapping[str, Instrument], account: Account, seed: int) -> None:
    """Open what you need. If you fail, we do not trade."""


@hookspec
def shutdown() -> None:
    """Close what you opened."""


@hookspec
def health() -> Health | None:
    """Say how you are; /healthz asks."""


# Feeds.


@hookspec
def source() -> Source | None:
    """Say what you read, if it can be read again: the journal then refers to it and copies nothing."""


@hookspec
def describe_source() -> list[str] | None:
    """Say what you recognise in what you read, a line each, before you start: a person looks at it."""


@hookspec
def stream_market(instruments: Mapping[str, Instrument], reject: Reject) -> Iterator[Market]:  # type: ignore[empty-body]
    """Yield bars or quotes until the feed ends; `reject` what cannot be right. You have your own thread."""


@hookspec
def derive_market(market: Market) -> list[Bar] | None:
    """Return the coarser bars that this bar or quote completes; strategies see them after it."""


# A venue inside this process.


@hookspec
def rests() -> bool | None:
    """Say at the start whether `match_orders` may be left out while no order works. Silence is no."""


@hookspec
def match_orders(market: Market) -> list[Execution] | None:
    """Say what this bar or quote does to the orders you hold, if your venue is simulated here."""


# Strategies.


@hookspec
def on_bar(bar: Bar, portfolio: Portfolio) -> list[Request] | None:
    """Return the orders you want now; you ask, you never act."""


@hookspec
def on_quote(quote: Quote, portfolio: Portfolio) -> list[Request] | None:
    """Return the orders you want now; you ask, you never act."""


@hookspec
def on_fill(fill: Fill, portfolio: Portfolio) -> list[Request] | None:
    """Return the orders you want now that this has filled; `fill.strategy` says whose it was."""


# Risk.


@hookspec
def check_order(order: Order, portfolio: Portfolio) -> str | None:
    """Object to an order by saying why. Silence is consent; failing is objecting."""


@hookspec
def check_portfolio(portfolio: Portfolio) -> str | None:
    """Ask for a halt by saying why; asked after every fill and mark. Failing is asking."""


# Brokers.


@hookspec(firstresult=True)
def place_order(order: Order) -> Placed | Accepted | Rejected | None:
    """Send the order and say so, or return None: not mine. If you fail, nobody else is asked."""


@hookspec(firstresult=True)
def cancel_order(cancel: Cancel, order: Order) -> Placed | None:
    """Ask the venue to take the order back and say that you did, or return None: not mine."""


@hookspec(firstresult=True)
def replace_order(replace: Replace, order: Order) -> Placed | None:
    """Ask the venue to change the order and say that you did, or return None: not mine."""


@hookspec
def stream_executions() -> Iterator[Execution]:  # type: ignore[empty-body]
    """Yield what happens to the orders at the venue, as it happens; you have a thread of your own."""


@hookspec
def fetch_statement(since: int) -> Statement | None:
    """Say what the venue believes, and what ended or traded there since *since* (ns UTC)."""


@hookspec
def find_order(order: Order) -> list[Execution | Absent] | None:
    """Say all that befell an order, once nothing of it is under way; Absent: never there; None: unsure."""


# Watchers and notifiers.


@hookspec
def on_event(event: Event) -> None:
    """Look, do not touch; you are on the trading thread."""


@hookspec
def notify(alert: Alert) -> None:
    """Tell a person; you are off the trading thread."""


# The product itself.


@hookspec
def register_commands(cli: Any) -> None:
    """Add your own subcommands to the click group *cli*."""
