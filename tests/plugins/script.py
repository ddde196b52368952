"""A strategy that asks for what a test wrote down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nicegold import Bar, Fill, Quote, Request, hookimpl, plugin


@plugin
class Script:
    """*requests* by the number of the bar or quote that they follow, *on_fills* by the order filled."""

    requests: Mapping[int, Sequence[Request]]
    on_fills: Mapping[str, Sequence[Request]]
    seen: int = -1

    @hookimpl
    def on_bar(self, bar: Bar) -> list[Request] | None:
        return self._next()

    @hookimpl
    def on_quote(self, quote: Quote) -> list[Request] | None:
        return self._next()

    @hookimpl
    def on_fill(self, fill: Fill) -> list[Request] | None:
        return list(self.on_fills.get(fill.order_id, ()))

    def _next(self) -> list[Request] | None:
        self.seen += 1
        return list(self.requests.get(self.seen, ()))
