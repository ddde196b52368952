"""The market of a run once more: what the journal has by reference, put back where it came."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from operator import attrgetter

from msgspec.structs import replace

from nicegold import Account, Event, Market, Refused
from nicegold.answers import Reply
from nicegold.host import Host
from nicegold_ops.app import App, feeds
from nicegold_ops.config import build
from nicegold_ops.errors import DataError
from nicegold_ops.journal import MarketRead
from nicegold_ops.period import within


def market_again(app: App) -> Generator[Market, None, None]:
    """What the feeds of *app* have, from fresh ones, in the order in which a run gets it.

    The feeds alone are built: nothing trades and nothing is recorded. Raises DataError when one
    does not start or fails on the way.
    """
    names = {feed.name for feed in feeds(app.host)}
    plugins = tuple(each for each in app.settings.plugins if each.name in names)
    host = Host(lambda hook, plugin, call: call, build(replace(app.settings, plugins=plugins), app.resolve))
    run = app.settings.run
    try:
        _refuse(host.call("startup")(app.settings.instruments, Account(run.cash, run.currency), run.seed))
        replies = host.call("stream_market")(app.settings.instruments, lambda defect: None)
        _refuse(replies)
        yield from heapq.merge(*(within(run, reply.value) for reply in replies), key=attrgetter("time"))
    except DataError:
        raise
    except Exception as error:  # a feed's own
        raise DataError(f"the market cannot be read again: {type(error).__name__}: {error}") from error
    finally:
        host.call("shutdown")()


def _refuse(replies: Iterable[Reply]) -> None:
    for reply in replies:
        if reply.error is not None:
            raise DataError(f"{reply.plugin}.{reply.hook} {reply.reason}")


def with_market(events: Iterable[Event], market: Iterator[Market]) -> Iterator[Event]:
    """The *events* of a journal, with *market* in place of the notes that it was read."""
    for event in events:
        match event:
            case MarketRead():
                yield from islice(market, event.events)
            case Refused():
                # It came from the feeds too, and nobody was shown it.
                next(market, None)
                yield event
            case _:
                yield event
