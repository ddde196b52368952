"""The nouns: values that cannot be right are refused where they are built."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import (
    Accepted,
    Bar,
    Cancel,
    Fill,
    Instrument,
    Order,
    OrderType,
    Quote,
    Replace,
    Replaced,
    Side,
    Swap,
    TimeInForce,
)
from nicegold.testing import GOLD, bar, market_order, quote
from nicegold.values import misfit

NOT_AMOUNTS = [
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("Infinity"),
    Decimal(-1),
    Decimal(0),
    Decimal("1E+20"),
]
NOT_DECIMALS = [0.1, 1, "1", None, float("nan")]


class Quiet(str):
    """A str that is not quite one."""


# Orders.


@pytest.mark.parametrize("quantity", NOT_AMOUNTS)
def test_an_order_is_for_a_finite_quantity_above_zero(quantity):
    with pytest.raises(ValueError, match="order for XAUUSD: quantity is"):
        Order(symbol="XAUUSD", side=Side.BUY, quantity=quantity)


@pytest.mark.parametrize("quantity", NOT_DECIMALS)
def test_a_quantity_is_a_decimal_and_the_error_shows_how(quantity):
    with pytest.raises(TypeError) as refused:
        Order(symbol="XAUUSD", side=Side.BUY, quantity=quantity)

    assert f'order for XAUUSD: quantity is {quantity!r}; use Decimal("{quantity}")' == str(refused.value)


@pytest.mark.parametrize(
    ("order_type", "needs"),
    [
        (OrderType.MARKET, set()),
        (OrderType.LIMIT, {"price"}),
        (OrderType.STOP, {"stop_price"}),
        (OrderType.STOP_LIMIT, {"price", "stop_price"}),
        (OrderType.TRAILING_STOP, {"trail"}),
    ],
)
def test_an_order_has_the_prices_of_its_type_and_no_others(order_type, needs):
    prices: dict[str, Any] = {name: Decimal(2000) for name in needs}

    assert prices == {
        name: value
        for name in ("price", "stop_price", "trail")
        if (value := getattr(market_order(order_type=order_type, **prices), name)) is not None
    }
    for missing in needs:
        with pytest.raises(ValueError, match=f"a {order_type} order needs {missing}"):
            market_order(order_type=order_type, **{n: v for n, v in prices.items() if n != missing})
    for extra in {"price", "stop_price", "trail"} - needs:
        with pytest.raises(ValueError, match=f"a {order_type} order takes no {extra}"):
            market_order(order_type=order_type, **(prices | {extra: Decimal(1)}))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("side", "buy", "side is 'buy'; use Side.BUY or Side.SELL"),
        ("order_type", "market", "order_type is 'market'; use OrderType.MARKET or OrderType.LIMIT"),
        ("time_in_force", "gtc", "time_in_force is 'gtc'; use TimeInForce.GTC or TimeInForce.DAY"),
    ],
)
def test_words_are_not_taken_for_fix_terms(field, value, message):
    terms: dict[str, Any] = {"symbol": "XAUUSD", "side": Side.BUY, "quantity": Decimal(1), field: value}

    with pytest.raises(TypeError) as refused:
        Order(**terms)

    assert f"order for XAUUSD: {message}" in str(refused.value)


@pytest.mark.parametrize(("time_in_force", "expires"), [(TimeInForce.GTD, 0), (TimeInForce.GTC, 5)])
def test_an_end_and_good_till_date_go_together(time_in_force, expires):
    with pytest.raises(ValueError, match="expires and time_in_force GTD go together"):
        market_order(time_in_force=time_in_force, expires=expires)


def test_a_sell_counts_negative():
    assert Decimal("0.10") == market_order(Side.BUY).signed_quantity
    assert Decimal("-0.10") == market_order(Side.SELL).signed_quantity
    assert (1, -1) == (Side.BUY.sign, Side.SELL.sign)
    assert (Side.SELL, Side.BUY) == (Side.BUY.opposite, Side.SELL.opposite)


def test_a_replace_changes_what_it_names_and_nothing_else():
    resting = market_order(order_type=OrderType.LIMIT, price=Decimal(2000), id="s-1")

    amended = Replace(order_id="s-1", quantity=Decimal(2)).of(resting)

    assert msgspec.structs.replace(resting, quantity=Decimal(2)) == amended


def test_a_replace_cannot_give_a_market_order_a_price():
    with pytest.raises(ValueError, match="a market order takes no price"):
        Replace(order_id="s-1", price=Decimal(2000)).of(market_order())


@pytest.mark.parametrize("value", [*NOT_AMOUNTS, *(each for each in NOT_DECIMALS if each is not None)])
@pytest.mark.parametrize("field", ["quantity", "price", "stop_price"])
def test_new_terms_are_amounts_too(field, value):
    terms: dict[str, Any] = {"quantity": Decimal(1), field: value}

    with pytest.raises((TypeError, ValueError), match=f"replace of s-1: {field} is"):
        Replace(order_id="s-1", **{field: value})
    with pytest.raises((TypeError, ValueError), match=f"replaced terms of s-1: {field} is"):
        Replaced(order_id="s-1", time=1, **terms)


# What happened.


@pytest.mark.parametrize("value", [*NOT_AMOUNTS, *NOT_DECIMALS])
@pytest.mark.parametrize("field", ["quantity", "price"])
def test_a_fill_is_of_an_amount_at_a_price(field, value):
    terms: dict[str, Any] = {"quantity": Decimal(1), "price": Decimal(2000), field: value}

    with pytest.raises((TypeError, ValueError), match=f"fill t-1 of s-1: {field} is"):
        Fill(order_id="s-1", trade_id="t-1", time=1, symbol="XAUUSD", side=Side.BUY, **terms)


def test_commission_and_swap_may_be_received_and_are_finite():
    sold = Fill(
        order_id="s-1",
        trade_id="t-1",
        time=1,
        symbol="XAUUSD",
        side=Side.SELL,
        quantity=Decimal(1),
        price=Decimal(2000),
    )
    rebate = msgspec.structs.replace(sold, commission=Decimal("-0.5"))

    assert (Decimal("-0.5"), Decimal(-1)) == (rebate.commission, rebate.signed_quantity)
    assert Decimal(-3) == Swap(symbol="XAUUSD", time=1, amount=Decimal(-3)).amount
    with pytest.raises(ValueError, match="commission is NaN"):
        msgspec.structs.replace(sold, commission=Decimal("NaN"))
    with pytest.raises(TypeError, match=r"swap of XAUUSD: amount is 1\.5"):
        Swap(symbol="XAUUSD", time=1, amount=1.5)  # type: ignore[arg-type]


# Instruments.


def instrument(**terms: Any) -> Instrument:
    terms.setdefault("tick_size", Decimal("0.01"))
    return Instrument(symbol="XAUUSD", **terms)


@pytest.mark.parametrize("field", ["tick_size", "lot_size", "quantity_step"])
@pytest.mark.parametrize("value", [*NOT_AMOUNTS, *NOT_DECIMALS])
def test_an_instrument_has_sizes_above_zero(field, value):
    with pytest.raises((TypeError, ValueError), match=f"instrument XAUUSD: {field} is"):
        instrument(**{field: value})


@pytest.mark.parametrize("field", ["margin_rate", "spread"])
def test_margin_and_spread_are_not_negative(field):
    with pytest.raises(ValueError, match=f"{field} is -1; it must not be negative"):
        instrument(**{field: Decimal(-1)})


@given(st.floats(0.01, 1e9), st.sampled_from(["0.01", "0.25", "0.00001", "5"]))
def test_a_price_goes_to_the_nearest_tick(value, tick):
    price = instrument(tick_size=Decimal(tick)).to_price(value)

    assert Decimal(0) == price % Decimal(tick)
    assert abs(price - Decimal(repr(value))) <= Decimal(tick) / 2


@given(st.decimals(0, 1_000_000, places=6), st.sampled_from(["0.01", "0.1", "1", "0.25"]))
def test_a_quantity_is_cut_and_never_exceeded(value, step):
    quantity = instrument(quantity_step=Decimal(step)).to_quantity(value)

    assert Decimal(0) == quantity % Decimal(step)
    assert Decimal(0) <= value - quantity < Decimal(step)


def test_numpys_floats_are_prices_as_well():
    assert Decimal("2000.13") == GOLD.to_price(np.float64(2000.126))
    assert Decimal("0.12") == GOLD.to_quantity(np.float64(0.126))


# The market.


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0, 1e16])
@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume", "spread"])
def test_a_bar_with_a_number_that_cannot_be_is_not_sound(field, bad):
    assert bar(volume=1.0, spread=0.2).is_sound
    assert not msgspec.structs.replace(bar(), **{field: bad}).is_sound


@pytest.mark.parametrize(
    "change",
    [
        {"high": 1999.0},
        {"low": 2001.0},
        {"close": 2001.0},
        {"open": 1999.0},
        {"start": 1 << 62, "time": 1},
        {"start": -1},
        {"time": 1 << 63},
        {"low": 0.0},
    ],
)
def test_a_bar_that_contradicts_itself_is_not_sound(change):
    assert not msgspec.structs.replace(bar(), **change).is_sound


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0, 1e16])
@pytest.mark.parametrize("field", ["bid", "ask", "bid_size", "ask_size"])
def test_a_quote_with_a_number_that_cannot_be_is_not_sound(field, bad):
    assert quote(2000.0, 2000.2, size=1.0).is_sound
    assert not msgspec.structs.replace(quote(2000.0, 2000.2), **{field: bad}).is_sound


def test_a_quote_is_not_crossed():
    assert not quote(2000.2, 2000.0).is_sound
    assert not msgspec.structs.replace(quote(2000.0, 2000.2), time=-1).is_sound


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume", "spread"])
def test_numbers_that_the_journal_cannot_take_are_not_sound(field):
    """numpy's, since the journal writes floats; whole numbers are floats to Python's typing."""
    assert not msgspec.structs.replace(bar(), **{field: np.float64(2000.0)}).is_sound
    assert not msgspec.structs.replace(bar(), time=np.int64(bar().time)).is_sound
    assert not msgspec.structs.replace(quote(2000.0, 2000.2), bid=np.float64(2000.0)).is_sound
    assert Bar("XAUUSD", 0, 60, 2000, 2001, 1999, 2000, 3, 0).is_sound


# What does not fit.


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (market_order(), ""),
        (bar(), ""),
        (Bar("X", 0, 60, 1, 1, 1, 1), ""),
        (market_order(parent=None), "parent is a NoneType"),
        (market_order(oco=["exit"]), "oco is a list"),
        (market_order(reduce_only=1), "reduce_only is a int"),
        (market_order(id=Quiet("a")), "id is a Quiet"),
        (market_order(id="\udcff"), "id is not text: '\\udcff'"),
        (Accepted(order_id="s-1", time=10**30), "time does not fit 64 bits"),
        (Accepted(order_id="s-1", time=True), "time is a bool"),
        (Cancel(order_id=5), "order_id is a int"),  # type: ignore[arg-type]
        (Quote("X", 0, np.float64(1.0), 2.0), "bid is a float64"),
    ],
)
def test_a_field_that_is_not_of_its_type_is_named(value, wrong):
    assert wrong == misfit(value)


def test_what_fits_comes_back_from_the_journal_as_it_went():
    order = market_order(order_type=OrderType.LIMIT, price=Decimal("2000.10"), oco="g")

    assert order == msgspec.json.decode(msgspec.json.encode(order), type=Order)
