"""What a row says in core's words, and the row for what core says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import asdict

from nicegold import (
    Fill,
    Order,
    OrderState,
    OrderStatus,
    OrderType,
    Position,
    Replace,
    Side,
    TimeInForce,
    Vetoed,
)

_ORDER = Order.__struct_fields__
_STATE = tuple(name for name in OrderState.__struct_fields__ if name not in ("order", "status", "asked"))
_FILL = Fill.__struct_fields__
_POSITION = Position.__struct_fields__
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Replace).decode


def row_of_order(run: str, sequence: int, state: OrderState, parent: str) -> dict[str, Any]:
    """*sequence* is the number of the Order, 0 when an earlier run told it; *parent* its traceparent."""
    row = asdict(state) | asdict(state.order)
    del row["order"]
    row["asked"] = None if state.asked is None else _encode(state.asked).decode()
    return {"run": run, "sequence": sequence, **row, "traceparent": parent}


def order_in(row: Any) -> OrderState:
    """The order of a row of `orders`."""
    fields = {name: getattr(row, name) for name in _ORDER} | {
        "side": Side(row.side),
        "order_type": OrderType(row.order_type),
        "time_in_force": TimeInForce(row.time_in_force),
    }
    return OrderState(
        order=Order(**fields),
        status=OrderStatus(row.status),
        asked=None if row.asked is None else _decode(row.asked),
        **{name: getattr(row, name) for name in _STATE},
    )


def row_of_fill(run: str, sequence: int, fill: Fill) -> dict[str, Any]:
    """*sequence* is the number of the Fill, 0 when an earlier run told it."""
    return {"run": run, "sequence": sequence, **asdict(fill)}


def fill_in(row: Any) -> Fill:
    """The fill of a row of `fills`."""
    return Fill(**{name: getattr(row, name) for name in _FILL} | {"side": Side(row.side)})


def position_in(row: Any) -> Position:
    """The position of a row of `positions`."""
    return Position(**{name: getattr(row, name) for name in _POSITION})


def row_of_position(run: str, position: Position, lot_size: Decimal) -> dict[str, Any]:
    """*lot_size* is units a lot, of the instrument."""
    return {"run": run, "lot_size": lot_size, **asdict(position)}


def rows_of_veto(run: str, sequence: int, vetoed: Vetoed) -> list[dict[str, Any]]:
    """A row for each objection."""
    order = vetoed.order
    return [
        {
            "run": run,
            "sequence": sequence,
            "number": number,
            "plugin": objection.plugin,
            "reason": objection.reason,
            "time": vetoed.time,
            "order_id": order.id,
            "strategy": order.strategy,
            "symbol": order.symbol,
            "side": order.side,
            "quantity": order.quantity,
            "order_type": order.order_type,
            "price": order.price,
            "stop_price": order.stop_price,
        }
        for number, objection in enumerate(vetoed.objections)
    ]
