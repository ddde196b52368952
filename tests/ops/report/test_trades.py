"""Round trips, against a brute force that moves the smallest lots one by one."""

from __future__ import annotations

from collections import Counter, deque
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from nicegold import Account, Fill, Portfolio, Side
from nicegold_ops.report.trades import Trade, trades_of
from tests.ops.report.sample import GOLD

SILVER_TOO = {"XAUUSD": GOLD, "XAGUSD": GOLD}
STEP = Decimal("0.01")
NOTHING = Decimal(0)


def fill(
    side: Side,
    quantity: str,
    price: str = "2000.00",
    *,
    time: int = 0,
    strategy: str = "cross",
    symbol: str = "XAUUSD",
    commission: str = "0",
) -> Fill:
    return Fill(
        order_id=f"{strategy}-{time}",
        trade_id=str(time),
        time=time,
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        commission=Decimal(commission),
        strategy=strategy,
    )


def trades_between(*fills: Fill) -> list[Trade]:
    return trades_of(fills, SILVER_TOO)


def unit_by_unit(fills: list[Fill]) -> Counter[tuple[int, int]]:
    """Smallest steps by the times at which they were entered and left, oldest first, one at a time."""
    held: dict[tuple[str, str], deque[tuple[int, Side]]] = {}
    closed: Counter[tuple[int, int]] = Counter()
    for each in fills:
        units = held.setdefault((each.strategy, each.symbol), deque())
        for _ in range(int(each.quantity / STEP)):
            if units and units[0][1] is not each.side:
                closed[units.popleft()[0], each.time] += 1
            else:
                units.append((each.time, each.side))
    return closed


def flattened(fills: list[Fill]) -> list[Fill]:
    """*fills*, and those that close what is open after them."""
    open_lots: Counter[tuple[str, str]] = Counter()
    for each in fills:
        open_lots[each.strategy, each.symbol] += int(each.signed_quantity / STEP)
    last = [
        (Side.SELL if units > 0 else Side.BUY, str(abs(units) * STEP), strategy, symbol)
        for (strategy, symbol), units in open_lots.items()
        if units
    ]
    return fills + [
        fill(side, quantity, time=time, strategy=strategy, symbol=symbol)
        for time, (side, quantity, strategy, symbol) in enumerate(last, len(fills))
    ]


some_fills = st.lists(
    st.builds(
        fill,
        st.sampled_from(Side),
        st.integers(1, 30).map(lambda units: str(units * STEP)),
        st.integers(150_000, 250_000).map(lambda ticks: str(ticks * STEP)),
        strategy=st.sampled_from(["cross", "breakout"]),
        symbol=st.sampled_from(["XAUUSD", "XAGUSD"]),
        commission=st.integers(0, 900).map(lambda cents: str(cents * STEP)),
    ),
    max_size=30,
).map(lambda fills: [_at(each, time) for time, each in enumerate(fills)])


def _at(each: Fill, time: int) -> Fill:
    return fill(
        each.side,
        str(each.quantity),
        str(each.price),
        time=time,
        strategy=each.strategy,
        symbol=each.symbol,
        commission=str(each.commission),
    )


def test_a_long_gains_the_rise_times_its_ounces():
    bought = fill(Side.BUY, "0.50", "2000.00", time=1, commission="3.50")
    sold = fill(Side.SELL, "0.50", "2010.00", time=2, commission="3.00")

    (trade,) = trades_between(bought, sold)

    assert (
        Trade(
            strategy="cross",
            symbol="XAUUSD",
            side=Side.BUY,
            quantity=Decimal("0.50"),
            entry_time=1,
            entry_price=Decimal("2000.00"),
            exit_time=2,
            exit_price=Decimal("2010.00"),
            profit=Decimal(500),
            costs=Decimal("6.50"),
        )
        == trade
    )


def test_a_short_gains_the_fall():
    (trade,) = trades_between(fill(Side.SELL, "1", "2000.00"), fill(Side.BUY, "1", "1990.00"))

    assert Side.SELL is trade.side
    assert Decimal(1000) == trade.profit


def test_the_oldest_lots_are_closed_first_and_carry_their_share_of_the_costs():
    trades = trades_between(
        fill(Side.BUY, "1", "2000.00", time=1, commission="7"),
        fill(Side.BUY, "1", "2020.00", time=2, commission="9"),
        fill(Side.SELL, "1.50", "2030.00", time=3, commission="6"),
    )

    assert [(1, Decimal("1"), Decimal(3000)), (2, Decimal("0.50"), Decimal(500))] == [
        (each.entry_time, each.quantity, each.profit) for each in trades
    ]
    assert [Decimal(7 + 4), Decimal("4.5") + 2] == [each.costs for each in trades]


def test_a_fill_that_turns_the_position_closes_and_opens():
    trades = trades_between(
        fill(Side.BUY, "1", "2000.00", time=1),
        fill(Side.SELL, "3", "2010.00", time=2),
        fill(Side.BUY, "2", "2005.00", time=3),
    )

    assert [(Side.BUY, Decimal(1), Decimal(1000)), (Side.SELL, Decimal(2), Decimal(1000))] == [
        (each.side, each.quantity, each.profit) for each in trades
    ]


def test_strategies_and_symbols_do_not_close_one_another():
    trades = trades_between(
        fill(Side.BUY, "1", strategy="cross"),
        fill(Side.SELL, "1", strategy="breakout"),
        fill(Side.SELL, "1", strategy="cross", symbol="XAGUSD"),
    )

    assert [] == trades


def test_what_is_still_held_is_no_trade():
    assert [] == trades_between(fill(Side.BUY, "1"), fill(Side.BUY, "1"))
    assert [] == trades_between()


def test_what_the_engine_closes_after_a_halt_is_a_trade_of_whoever_opened_it():
    trades = trades_between(
        fill(Side.BUY, "1", "2000.00", time=1, strategy="cross"),
        fill(Side.BUY, "2", "2010.00", time=2, strategy="breakout"),
        fill(Side.BUY, "1", "2020.00", time=3, strategy="cross"),
        fill(Side.SELL, "4", "1990.00", time=4, strategy="engine"),
    )

    assert ["cross", "breakout", "cross"] == [each.strategy for each in trades]
    assert [Decimal(-1000), Decimal(-4000), Decimal(-3000)] == [each.profit for each in trades]


@given(fills=some_fills)
def test_trades_are_what_moving_the_smallest_lots_one_by_one_gives(fills):
    expected = unit_by_unit(fills)

    found: Counter[tuple[int, int]] = Counter()
    for each in trades_between(*fills):
        found[each.entry_time, each.exit_time] += int(each.quantity / STEP)

    assert expected == found


@given(fills=some_fills)
def test_each_lot_is_entered_once_and_left_once(fills):
    fills = flattened(fills)

    trades = trades_between(*fills)

    traded = sum((each.quantity for each in fills), NOTHING)
    assert traded == 2 * sum((each.quantity for each in trades), NOTHING)
    for time, each in enumerate(fills):
        parts = (trade.quantity for trade in trades if time in (trade.entry_time, trade.exit_time))
        assert each.quantity == sum(parts, NOTHING)


@given(fills=some_fills)
def test_once_flat_the_trades_made_what_the_portfolio_realized_at_average_cost(fills):
    fills = flattened(fills)
    portfolio = Portfolio(Account(NOTHING, "USD"), SILVER_TOO)
    for each in fills:
        portfolio.apply(each)

    trades = trades_between(*fills)

    realized = sum((each.realized for each in portfolio.positions.values()), NOTHING)
    assert not any(position.quantity for position in portfolio.positions.values())
    assert abs(realized - sum((each.profit for each in trades), NOTHING)) < Decimal("1e-15")
    assert abs(portfolio.commission - sum((each.costs for each in trades), NOTHING)) < Decimal("1e-15")
