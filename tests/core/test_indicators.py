"""Each indicator against its formula over whole slices. Published tables are in tests/published."""

from __future__ import annotations

import random
import re
import runpy
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import isnan, nan
from statistics import fmean, pstdev, stdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from nicegold import indicators
from nicegold.indicators import (
    Adl,
    Adx,
    Atr,
    Bands,
    Bollinger,
    Cci,
    Cmo,
    Dema,
    Directions,
    Donchian,
    Ema,
    Highest,
    Kama,
    Lag,
    Lowest,
    Macd,
    Mfi,
    Momentum,
    Obv,
    Psar,
    Rma,
    Roc,
    Rsi,
    Sma,
    StandardDeviation,
    Stochastic,
    Stochastics,
    Trix,
    TrueRange,
    WilliamsR,
    Wma,
    typical_price,
)
from nicegold.testing import check_conformance

#: Prices in cents: far apart, and so near that many are equal.
PRICES = st.lists(st.integers(1_000, 900_000) | st.integers(200_000, 200_003), min_size=1, max_size=70).map(
    lambda cents: [each / 100 for each in cents]
)
WINDOWS = st.integers(1, 12)

#: What takes in one figure, at its shortest, and how many values each needs to be warm.
OF_ONE_FIGURE: list[tuple[Callable[[], Any], int]] = [
    (lambda: Sma(4), 4),
    (lambda: Wma(4), 4),
    (lambda: Ema(4), 4),
    (lambda: Ema(4, seed="first"), 4),
    (lambda: Rma(4), 4),
    (lambda: Dema(4), 7),
    (lambda: Kama(4), 4),
    (lambda: Highest(4), 4),
    (lambda: Lowest(4), 4),
    (lambda: StandardDeviation(4), 4),
    (lambda: Bollinger(4), 4),
    (lambda: Lag(4), 5),
    (lambda: Momentum(4), 5),
    (lambda: Roc(4), 5),
    (lambda: Rsi(4), 5),
    (lambda: Cmo(4), 5),
    (lambda: Trix(4), 11),
    (lambda: Macd(2, 4, 3), 6),
]


def slices(values: Sequence[Any], window: int) -> list[Sequence[Any] | None]:
    """The last *window* of *values* at each of them; None while there are fewer."""
    return [values[n - window : n] if n >= window else None for n in range(1, len(values) + 1)]


def over(values: Sequence[Any], window: int, formula: Callable[[Any], float]) -> list[float]:
    return [nan if each is None else formula(each) for each in slices(values, window)]


def updated(indicator: Any, values: Sequence[float]) -> list[Any]:
    return [indicator.update(each) for each in values]


def near(expected: list[float], *, absolute: float = 0.0) -> Any:
    return pytest.approx(expected, rel=1e-12, abs=absolute, nan_ok=True)


def bars(count: int, seed: int = 7) -> list[tuple[float, float, float]]:
    """High, low and close of a random walk."""
    draw, close, made = random.Random(seed), 2000.0, []
    for _ in range(count):
        close += draw.gauss(0.0, 2.0)
        made.append((close + draw.random() * 3, close - draw.random() * 3, close))
    return made


# Formulas.


@given(prices=PRICES, window=WINDOWS)
def test_sma_is_the_mean_of_the_last_values(prices, window):
    assert near(over(prices, window, fmean)) == updated(Sma(window), prices)


@given(prices=PRICES, window=WINDOWS)
def test_wma_weighs_the_newest_most(prices, window):
    def formula(values):
        return sum(n * each for n, each in enumerate(values, 1)) / sum(range(1, window + 1))

    assert near(over(prices, window, formula)) == updated(Wma(window), prices)


@given(prices=PRICES, window=WINDOWS)
def test_highest_and_lowest_are_those_of_the_last_values(prices, window):
    assert near(over(prices, window, max)) == updated(Highest(window), prices)
    assert near(over(prices, window, min)) == updated(Lowest(window), prices)


@given(prices=PRICES, window=st.integers(2, 12))
def test_the_deviation_is_that_of_the_population_or_of_the_sample(prices, window):
    population, sample = StandardDeviation(window), StandardDeviation(window, sample=True)

    # A deviation is the root of what is left of squares of the prices.
    assert near(over(prices, window, pstdev), absolute=1e-9) == updated(population, prices)
    assert near(over(prices, window, stdev), absolute=1e-9) == updated(sample, prices)


@given(price=st.integers(1, 10**8).map(lambda cents: cents / 100), window=st.integers(1, 12))
def test_a_price_that_does_not_move_has_no_deviation_at_all(price, window):
    assert 0.0 == updated(StandardDeviation(window), [price] * 40)[-1]


@given(prices=PRICES, window=WINDOWS)
def test_an_ema_begins_with_the_mean_or_with_the_first_value(prices, window):
    step = 2 / (window + 1)

    def moved(level, later):
        for each in later:
            level += step * (each - level)
        return level

    late = [nan] * min(window - 1, len(prices))
    ends = range(window, len(prices) + 1)
    from_mean = late + [moved(fmean(prices[:window]), prices[window:end]) for end in ends]
    from_first = late + [moved(prices[0], prices[1:end]) for end in ends]
    assert near(from_mean) == updated(Ema(window), prices)
    assert near(from_first) == updated(Ema(window, seed="first"), prices)


@given(prices=PRICES, window=WINDOWS)
def test_cmo_and_rsi_of_the_first_window_are_shares_of_the_rises(prices, window):
    changes = [after - before for before, after in pairwise(prices)]

    def rises(values):
        up, down = sum(max(each, 0) for each in values), sum(max(-each, 0) for each in values)
        return 100 * up / (up + down) if up + down else 50.0

    shares = [nan, *over(changes, window, rises)]
    assert near([2 * each - 100 for each in shares], absolute=1e-9) == updated(Cmo(window), prices)
    first = slice(0, window + 1)
    assert near(shares[first], absolute=1e-9) == updated(Rsi(window), prices)[first]


@given(prices=PRICES, window=WINDOWS)
def test_momentum_and_roc_compare_with_the_value_a_window_ago(prices, window):
    def change(values):
        return values[-1] - values[0]

    def percent(values):
        return 100 * (values[-1] / values[0] - 1)

    assert near(over(prices, window + 1, change)) == updated(Momentum(window), prices)
    assert near(over(prices, window + 1, percent), absolute=1e-9) == updated(Roc(window), prices)


def test_cci_is_the_distance_from_the_mean_in_mean_deviations():
    seen = bars(60)
    prices = [typical_price(*each) for each in seen]

    def formula(values):
        mean = fmean(values)
        return (values[-1] - mean) / (0.015 * fmean(abs(each - mean) for each in values))

    cci = Cci(7)
    assert pytest.approx(over(prices, 7, formula), rel=1e-9, nan_ok=True) == [
        cci.update(*each) for each in seen
    ]


def test_a_channel_is_of_the_bars_with_the_last():
    channel, seen = Donchian(3), bars(9)

    lines = [channel.update(high, low) for high, low, _ in seen]

    highs, lows = [high for high, _, _ in seen], [low for _, low, _ in seen]
    assert near(over(highs, 3, max)) == [line.upper for line in lines]
    assert near(over(lows, 3, min)) == [line.lower for line in lines]
    assert near([(line.lower + line.upper) / 2 for line in lines]) == [line.middle for line in lines]
    assert lines[-1] == channel.value


def test_a_true_range_reaches_from_the_close_before():
    ranges = TrueRange()

    assert [2.0, 5.0, 6.0] == [ranges.update(*each) for each in [(12, 10, 11), (16, 15, 15), (10, 9, 9)]]


def test_wilder_leaves_no_bar_out_of_his_average_and_talib_the_first():
    seen = bars(30)
    ranges = TrueRange()
    each = [ranges.update(*bar) for bar in seen]

    def first(indicator):
        return next((n, value) for n, bar in enumerate(seen) if not isnan(value := indicator.update(*bar)))

    assert (3, pytest.approx(fmean(each[:4]))) == first(Atr(4))
    assert (4, pytest.approx(fmean(each[1:5]))) == first(Atr(4, skip_first=True))


def test_kama_goes_with_a_straight_line_and_hardly_with_one_that_comes_back():
    fast, slow = (2 / 3) ** 2, (2 / 31) ** 2

    straight = updated(Kama(3), [1.0, 2.0, 3.0, 4.0])[-1]
    back = updated(Kama(4), [1.0, 2.0, 2.0, 2.0, 1.0])[-1]

    assert pytest.approx(3.0 + fast * 1.0) == straight
    assert pytest.approx(2.0 - slow * 1.0) == back


def test_macd_is_what_lies_between_two_averages_and_its_own_average():
    closes = [close for _, _, close in bars(40)]
    lines = updated(Macd(3, 6, 4), closes)

    gaps = [fast - slow for fast, slow in zip(updated(Ema(3), closes), updated(Ema(6), closes), strict=True)]
    assert near(gaps) == [each.line for each in lines]
    assert near(updated(Ema(4), gaps)) == [each.signal for each in lines]
    assert pytest.approx(lines[-1].line - lines[-1].signal) == lines[-1].histogram


def test_a_stochastic_is_smoothed_once_and_its_signal_twice():
    seen, stochastic = bars(30), Stochastic(5, 2, 3)
    lines = [stochastic.update(*bar) for bar in seen]

    def place(part):
        low = min(low for _, low, _ in part)
        return 100 * (part[-1][2] - low) / (max(high for high, _, _ in part) - low)

    k = updated(Sma(2), over(seen, 5, place))
    assert near(k, absolute=1e-9) == [each.k for each in lines]
    assert near(updated(Sma(3), k), absolute=1e-9) == [each.d for each in lines]


def test_a_straight_rise_is_directed_up_and_nothing_else():
    adx = Adx(3)

    last = [adx.update(n + 1.0, n - 1.0, n + 0.0) for n in range(20)][-1]

    # Each bar moves by 1 and its true range is 2.
    assert pytest.approx((50.0, 0.0, 100.0)) == astuple(last)


def test_a_parabolic_stop_follows_a_rise_and_turns_when_it_is_hit():
    psar = Psar(step=0.1, limit=0.2)

    stops = [psar.update(*each) for each in [(10, 8), (12, 10), (14, 12), (15, 13), (13, 9), (11, 8)]]

    # From 8 a tenth of the way to 12 is 8.4, a fifth from there to 14 is 9.52 and to 15 is 10.616:
    # 9 is below. The stop is then the highest price, and stays: a tenth of the way to 9 is within
    # the bar before.
    assert pytest.approx([nan, 8.0, 8.4, 9.52, 15.0, 15.0], nan_ok=True) == stops


def test_money_that_only_came_with_rising_prices_is_all_of_it():
    mfi = Mfi(3)

    assert 100.0 == [mfi.update(n + 1.0, n - 1.0, float(n), 10.0) for n in range(5, 12)][-1]


# Where there is nothing to divide by.


def test_a_market_that_does_not_move_is_in_the_middle_of_everything():
    price = 2000.1
    of_bars: list[Any] = [Cci(5), WilliamsR(5), Stochastic(5), Adx(5)]

    closes = [updated(each, [price] * 60)[-1] for each in (Rsi(5), Cmo(5), Kama(5))]
    ranges = [[each.update(price, price, price) for _ in range(60)][-1] for each in of_bars]

    assert [50.0, 0.0, price] == closes
    assert [0.0, -50.0, Stochastics(50.0, 50.0), Directions(0.0, 0.0, 0.0)] == ranges
    assert 50.0 == updated(Bollinger(5), [price] * 60)[-1].percent_of(price)


def test_a_market_that_stops_moving_leaves_no_rest_of_what_moved_before():
    """Sums that subtract what leaves keep a rest, and a rest over a rest is any number."""
    cmo, mfi, draw = Cmo(5), Mfi(5), random.Random(7)
    moving = [draw.uniform(0.1, 0.3) for _ in range(1003)]

    for price in [*moving, *[0.3] * 6]:
        cmo.update(price)
        mfi.update(price, price, price, 0.7)

    assert (0.0, 50.0) == (cmo.value, mfi.value)


def test_a_bar_without_a_range_adds_no_volume_to_the_line():
    line = Adl()

    assert [10.0, 10.0] == [line.update(3.0, 1.0, 3.0, 10.0), line.update(3.0, 3.0, 3.0, 10.0)]


def test_the_volume_of_a_bar_that_closes_where_the_last_did_counts_for_nothing():
    line = Obv()

    assert [0.0, 7.0, 7.0, 2.0] == [
        line.update(*each) for each in [(1.0, 9.0), (2.0, 7.0), (2.0, 4.0), (1.0, 5.0)]
    ]


# What every one of them promises.


@pytest.mark.parametrize(("make", "needed"), OF_ONE_FIGURE)
def test_it_answers_nan_until_it_is_warm_and_never_after(make, needed):
    answers = [last(each) for each in updated(make(), [close for _, _, close in bars(40)])]

    assert [True] * (needed - 1) + [False] * (41 - needed) == [isnan(each) for each in answers]


@pytest.mark.parametrize(("make", "needed"), OF_ONE_FIGURE)
def test_nan_is_answered_with_nan_and_forgotten(make, needed):
    closes = [close for _, _, close in bars(40)]
    whole, broken = make(), make()

    without = updated(whole, closes)
    answers = updated(broken, [each for close in closes for each in (nan, close)])

    assert all(isnan(last(each)) for each in answers[::2])
    assert repr(without) == repr(answers[1::2])
    assert repr(whole.value) == repr(broken.value)


@pytest.mark.parametrize(("make", "needed"), OF_ONE_FIGURE)
def test_its_last_answer_stays_in_value(make, needed):
    indicator = make()

    answers = [(indicator.update(close), indicator.value) for _, _, close in bars(40)]

    assert all(repr(answer) == repr(value) for answer, value in answers[needed - 1 :])


def test_one_may_feed_another_before_it_is_warm():
    fast, smooth = Rsi(3), Sma(2)

    answers = [smooth.update(fast.update(close)) for _, _, close in bars(6)]

    assert [True, True, True, True, False, False] == [isnan(each) for each in answers]


def test_every_indicator_is_on_the_page_that_lists_them(pytestconfig):
    page = (pytestconfig.rootpath / "docs/indicators.md").read_text(encoding="utf-8")
    classes = {name: each for name, each in vars(indicators).items() if isinstance(each, type)}
    ours = [name for name, each in classes.items() if hasattr(each, "update") and name[0] != "_"]

    assert len(ours) > 20
    assert [] == [name for name in ours if f"`{name}(" not in page]


def test_the_strategy_on_that_page_keeps_what_every_strategy_promises(pytestconfig, tmp_path):
    page = (pytestconfig.rootpath / "docs/indicators.md").read_text(encoding="utf-8")
    [program] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "dip.py"
    path.write_text(program, encoding="utf-8")

    dip = runpy.run_path(str(path))["Dip"]

    check_conformance(lambda: dip(instrument="XAUUSD"))


# A million updates.


def test_a_million_updates_and_what_spikes_leave_behind_cost_no_digit():
    draw = random.Random(7)
    thousand = [draw.uniform(1900.0, 2100.0) for _ in range(1000)]
    # 10^12 has no room for the digits of a price: a sum that once had it in would be off for good.
    thousand[500] = 1e12
    mean, weighted, deviation = Sma(30), Wma(30), StandardDeviation(30)

    for _ in range(1000):
        for value in thousand:
            mean.update(value)
            weighted.update(value)
            deviation.update(value)

    window = thousand[-30:]
    weights = sum(n * each for n, each in enumerate(window, 1)) / 465
    assert pytest.approx(fmean(window), rel=1e-15) == mean.value
    assert pytest.approx(weights, rel=1e-15) == weighted.value
    assert pytest.approx(pstdev(window), rel=1e-13) == deviation.value


def test_volumes_of_a_million_bars_add_up():
    line, draw = Obv(), random.Random(7)
    volumes = [draw.random() for _ in range(1_000_000)]

    for number, volume in enumerate(volumes):
        line.update(float(number % 2), volume)

    expected = sum(volumes[1::2]) - sum(volumes[2::2])
    assert pytest.approx(expected, abs=1e-6) == line.value


# What cannot be.


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sma(0), "window must be a whole number of at least 1: it is 0"),
        (lambda: StandardDeviation(1, sample=True), "window must be a whole number of at least 2: it is 1"),
        (lambda: Ema(5, seed="last"), 'seed must be "mean" or "first": it is \'last\''),  # type: ignore[arg-type]
        (lambda: Macd(26, 12), "fast must be below slow: fast is 26, slow is 12"),
        (lambda: Bollinger(20, 0.0), "width must be above 0: it is 0.0"),
        (lambda: Psar(step=nan), "step must be above 0: it is nan"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_half_a_bar_is_no_window():
    # Compiled code says so itself: "int object expected; got float".
    with pytest.raises((TypeError, ValueError), match=r"int object expected|whole number of at least 1"):
        Ema(2.5)  # type: ignore[arg-type]


def last(answer: Any) -> float:
    """The answer, or that of its lines which comes last."""
    if isinstance(answer, Bands):
        return answer.middle
    return answer if isinstance(answer, float) else astuple(answer)[-1]
