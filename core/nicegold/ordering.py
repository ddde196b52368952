"""The orders that strategies most often ask for."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from nicegold.model import Order, OrderType, Side
from nicegold.portfolio import Portfolio


def reach(target: Decimal, symbol: str, strategy: str, portfolio: Portfolio) -> list[Order]:
    """The market order that takes *strategy* to *target* signed lots, counting what already works.

    It is `reduce_only` when it takes both the strategy and the account nearer to flat, so that a
    halt lets it pass.
    """
    heading = portfolio.heading(symbol, strategy)
    missing = target - heading
    if not missing:
        return []
    held = portfolio.position(symbol).quantity
    reduces = _is_nearer_to_flat(heading, target) and _is_nearer_to_flat(held, held + missing)
    side = Side.BUY if missing > 0 else Side.SELL
    return [Order(symbol=symbol, side=side, quantity=abs(missing), reduce_only=reduces)]


def _is_nearer_to_flat(before: Decimal, after: Decimal) -> bool:
    return abs(after) < abs(before) and before * after >= 0


def bracket(entry: Order, *, stop_loss: Decimal, take_profit: Decimal) -> list[Order]:
    """*entry* with a stop and a target that sleep until it fills and cancel each other.

    Raises ValueError when the stop and the target are not on opposite sides, in that order.
    """
    above, below = (take_profit, stop_loss) if entry.side is Side.BUY else (stop_loss, take_profit)
    if not below < above:
        raise ValueError(
            f"bracket for {entry.symbol}: a {entry.side.value} needs its stop_loss "
            f"({stop_loss}) {'below' if entry.side is Side.BUY else 'above'} its take_profit ({take_profit})"
        )
    exit_side = entry.side.opposite
    return [
        replace(entry, id="entry"),
        Order(
            symbol=entry.symbol,
            side=exit_side,
            quantity=entry.quantity,
            order_type=OrderType.STOP,
            stop_price=stop_loss,
            reduce_only=True,
            parent="entry",
            oco="exit",
            id="stop",
        ),
        Order(
            symbol=entry.symbol,
            side=exit_side,
            quantity=entry.quantity,
            order_type=OrderType.LIMIT,
            price=take_profit,
            reduce_only=True,
            parent="entry",
            oco="exit",
            id="target",
        ),
    ]
