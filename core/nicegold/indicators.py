"""Indicators that take in one bar at a time: `Ema(10).update(close)`.

Each is an object with one method: `update` takes in the next figures and answers with the value,
which also stays in `value`. It is NaN until the indicator is warm. Nothing later than the last
update is known to it, and a million updates cost no more each, and are no less exact, than the
first hundred; only Cci looks at its whole window again.

Those fed with one figure pass over NaN: they answer NaN and forget it, so that one may feed
another before it is warm. Figures are finite, as those of the engine's bars are.

Sources: Achelis, Technical Analysis from A to Z, 2nd edition, 2000 ("Achelis"); Wilder, New
Concepts in Technical Trading Systems, 1978 ("Wilder"). Where TA-Lib, StockCharts or
Stock.Indicators go by another rule, docs/indicators.md shows the rule and the difference.
"""

# A window is a block that fills, from its end down so that *left* places are left, and the *left*
# newest values of the full one before. *head* is what the first comes to, *tail* what the second
# does, by how many are left. Nothing is ever subtracted, so nothing cancels, and a window of zeros
# sums to zero (van Herk; Gil and Werman). Until a block is full the tail is NaN, and so the answer.

from __future__ import annotations

from collections import deque
from itertools import accumulate
from math import inf, nan, sqrt
from typing import Literal, TypeAlias

import msgspec

#: How a smoothed average begins: with the mean of its first *window* values, or with the first.
Seed: TypeAlias = Literal["mean", "first"]

# Averages.


class Sma:
    """The mean of the last *window* values (Achelis p. 207)."""

    def __init__(self, window: int) -> None:
        self._window = _whole("window", window)
        self.value = nan
        self._block = [nan] * window
        self._tail = [0.0] + [nan] * window
        self._head = 0.0
        self._left = window

    def update(self, value: float) -> float:
        if value != value:
            return value
        left = self._left - 1
        self._block[left] = value
        self._head = head = self._head + value
        self.value = mean = (head + self._tail[left]) / self._window
        if left:
            self._left = left
        else:
            self._tail = [*accumulate(self._block, initial=0.0)]
            self._head, self._left = 0.0, self._window
        return mean


class Wma:
    """The mean of the last *window* values, weighted 1 for the oldest to *window* (Achelis p. 213)."""

    def __init__(self, window: int) -> None:
        self._window = _whole("window", window)
        self.value = nan
        self._weights = window * (window + 1) / 2
        self._block = [nan] * window
        self._tail = [0.0] + [nan] * window
        #: The sum of the block that fills, and the sum with the weights 1, 2, 3 ...
        self._head = self._rising = 0.0
        self._left = window

    def update(self, value: float) -> float:
        if value != value:
            return value
        left = self._left - 1
        self._block[left] = value
        self._head = head = self._head + value
        self._rising = rising = self._rising + (self._window - left) * value
        self.value = mean = (rising + left * head + self._tail[left]) / self._weights
        if left:
            self._left = left
        else:
            # A sum of sums has the newest in it most often.
            self._tail = [*accumulate(accumulate(self._block, initial=0.0))]
            self._head, self._rising, self._left = 0.0, 0.0, self._window
        return mean


class Ema:
    """An average that moves 2/(*window* + 1) of the way to each value (Achelis p. 209).

    It begins with the mean of its first *window* values, as in TA-Lib, or with *seed* "first" at
    the first value, as in Achelis; it answers after *window* values either way.
    """

    def __init__(self, window: int, *, seed: Seed = "mean") -> None:
        self._window = _whole("window", window)
        if seed not in ("mean", "first"):
            raise ValueError(f'seed must be "mean" or "first": it is {seed!r}')
        self.value = nan
        self._step = 2.0 / (window + 1)
        self._seed = seed
        self._level = 0.0
        self._missing = window

    def update(self, value: float) -> float:
        if value != value:
            return value
        if self._missing:
            return self._warm_up(value)
        level = self.value
        self.value = level = level + self._step * (value - level)
        return level

    def _warm_up(self, value: float) -> float:
        self._missing -= 1
        seen = self._window - self._missing
        # The n-th step of 1/n keeps the mean of n.
        step = 1.0 / seen if self._seed == "mean" or seen == 1 else self._step
        self._level += step * (value - self._level)
        if not self._missing:
            self.value = self._level
        return self.value


class Rma(Ema):
    """An average that moves 1/*window* of the way to each value: Wilder's (Achelis p. 366)."""

    def __init__(self, window: int, *, seed: Seed = "mean") -> None:
        super().__init__(window, seed=seed)
        self._step = 1.0 / window


class Dema:
    """Twice the Ema less the Ema of the Ema, which lags less (Mulloy, 1994; Achelis p. 123)."""

    def __init__(self, window: int, *, seed: Seed = "mean") -> None:
        self.value = nan
        self._once = Ema(window, seed=seed)
        self._twice = Ema(window, seed=seed)

    def update(self, value: float) -> float:
        once = self._once.update(value)
        twice = self._twice.update(once)
        if twice != twice:
            return nan
        self.value = 2.0 * once - twice
        return self.value


class Kama:
    """An average that is fast where the price goes straight and slow where it wanders.

    With the efficiency e, the net change over *window* values as a part of the sum of all changes,
    it moves (e * (2/(*fast*+1) - 2/(*slow*+1)) + 2/(*slow*+1))^2 of the way to each value. It
    begins at the *window*-th value. Kaufman, Smarter Trading, 1995.
    """

    def __init__(self, window: int = 10, fast: int = 2, slow: int = 30) -> None:
        self._window = _whole("window", window)
        self._slow = 2.0 / (_whole("slow", slow) + 1)
        self._range = 2.0 / (_whole("fast", fast) + 1) - self._slow
        self.value = nan
        self._net = Momentum(window)
        self._mean_step = Sma(window)
        self._before = nan
        self._missing = window

    def update(self, value: float) -> float:
        if value != value:
            return value
        net = self._net.update(value)
        step = self._mean_step.update(abs(value - self._before))
        self._before = value
        if self._missing:
            self._missing -= 1
            self.value = nan if self._missing else value
            return self.value
        efficiency = min(abs(net) / (step * self._window), 1.0) if step else 0.0
        self.value += (efficiency * self._range + self._slow) ** 2 * (value - self.value)
        return self.value


# Extremes.


class Highest:
    """The highest of the last *window* values."""

    def __init__(self, window: int) -> None:
        self._window = _whole("window", window)
        self.value = nan
        self._block = [nan] * window
        self._tail = [-inf] + [nan] * window
        self._head = -inf
        self._left = window

    def update(self, value: float) -> float:
        if value != value:
            return value
        left = self._left - 1
        self._block[left] = value
        head, rest = self._head, self._tail[left]
        if value > head:
            self._head = head = value
        self.value = top = head if head > rest else rest
        if left:
            self._left = left
        else:
            self._tail = [*accumulate(self._block, max, initial=-inf)]
            self._head, self._left = -inf, self._window
        return top


class Lowest:
    """The lowest of the last *window* values."""

    def __init__(self, window: int) -> None:
        self.value = nan
        self._highest = Highest(window)

    def update(self, value: float) -> float:
        low = -self._highest.update(-value)
        if value == value:
            self.value = low
        return low


class Bands(msgspec.Struct, frozen=True, gc=False):
    """Three lines."""

    lower: float
    middle: float
    upper: float

    @property
    def width(self) -> float:
        """From *lower* to *upper*, in percent of *middle*."""
        return 100.0 * (self.upper - self.lower) / self.middle

    def percent_of(self, price: float) -> float:
        """Where *price* is: 0 at *lower*, 100 at *upper*, 50 where they are one (100 %b)."""
        height = self.upper - self.lower
        return 100.0 * (price - self.lower) / height if height else 50.0


class Donchian:
    """The lowest low and the highest high of the last *window* bars, and the middle (Donchian).

    It has the bar of the update in it: to see a break, look at `value` before the update.
    """

    def __init__(self, window: int = 20) -> None:
        self._window = _whole("window", window)
        self.value = Bands(nan, nan, nan)
        self._highs, self._lows = [nan] * window, [nan] * window
        self._tops, self._bottoms = [-inf] + [nan] * window, [inf] + [nan] * window
        self._top, self._bottom = -inf, inf
        self._left = window

    def update(self, high: float, low: float) -> Bands:
        # As Highest and Lowest, in one: strategies ask for both on every bar.
        left = self._left - 1
        self._highs[left], self._lows[left] = high, low
        top, upper = self._top, self._tops[left]
        if high > top:
            self._top = top = high
        if top > upper:
            upper = top
        bottom, lower = self._bottom, self._bottoms[left]
        if low < bottom:
            self._bottom = bottom = low
        if bottom < lower:
            lower = bottom
        self.value = bands = Bands(lower, (lower + upper) / 2, upper)
        if left:
            self._left = left
        else:
            self._tops = [*accumulate(self._highs, max, initial=-inf)]
            self._bottoms = [*accumulate(self._lows, min, initial=inf)]
            self._top, self._bottom, self._left = -inf, inf, self._window
        return bands


class WilliamsR:
    """How far the close is below the highest high of *window* bars, in percent of their range.

    From -100 to 0; -50 where there is no range. Williams, 1973; Achelis p. 371.
    """

    def __init__(self, window: int = 14) -> None:
        self.value = nan
        self._range = Donchian(window)

    def update(self, high: float, low: float, close: float) -> float:
        self.value = self._range.update(high, low).percent_of(close) - 100.0
        return self.value


class Stochastics(msgspec.Struct, frozen=True, gc=False):
    """%K and its mean, %D; from 0 to 100."""

    k: float
    d: float


class Stochastic:
    """Where the close is in the range of *window* bars, in percent (Lane, 1984).

    %K is the mean of the last *smooth* of these (1: the fast stochastic, 3: the slow one), %D the
    mean of the last *signal* of %K. The middle, 50, where there is no range.
    """

    def __init__(self, window: int = 14, smooth: int = 3, signal: int = 3) -> None:
        self.value = Stochastics(nan, nan)
        self._range = Donchian(window)
        self._k = Sma(smooth)
        self._d = Sma(signal)

    def update(self, high: float, low: float, close: float) -> Stochastics:
        k = self._k.update(self._range.update(high, low).percent_of(close))
        self.value = Stochastics(k, self._d.update(k))
        return self.value


# How much prices move.


class StandardDeviation:
    """The deviation of the last *window* values from their mean, which is in `mean`.

    Of the population, or with *sample* of the sample (divided by *window* - 1). Achelis p. 309.
    """

    def __init__(self, window: int, *, sample: bool = False) -> None:
        self._window = _whole("window", window, least=2 if sample else 1)
        self.value = self.mean = nan
        self._degrees = window - 1 if sample else window
        self._block = [nan] * window
        # Sums of how far the values are above _base, and of the squares. The base is in the window,
        # so it is within sqrt(window - 1) deviations of the mean (Samuelson) and little cancels.
        self._base = 0.0
        self._tail = self._squares_tail = [0.0] + [nan] * window
        self._head = self._squares_head = 0.0
        self._left = 0

    def update(self, value: float) -> float:
        if value != value:
            return value
        left = (self._left or self._begin(value)) - 1
        self._left = left
        self._block[left] = value
        above = value - self._base
        self._head = head = self._head + above
        self._squares_head = squares = self._squares_head + above * above
        total = head + self._tail[left]
        mean = total / self._window
        variance = (squares + self._squares_tail[left] - mean * total) / self._degrees
        self.mean = self._base + mean
        # Rounding can put it below zero; NaN stays NaN.
        self.value = deviation = 0.0 if variance < 0.0 else sqrt(variance)
        return deviation

    def _begin(self, value: float) -> int:
        """Begin a block with *value*, which stays in the window until the block is full."""
        self._head = self._squares_head = 0.0
        self._base = value
        above = [each - value for each in self._block]
        self._tail = [*accumulate(above, initial=0.0)]
        self._squares_tail = [*accumulate((each * each for each in above), initial=0.0)]
        return self._window


class Bollinger:
    """The mean of the last *window* values, and *width* standard deviations on either side.

    The deviation is that of the population, as Bollinger has it (Bollinger on Bollinger Bands,
    2001), or with *sample* of the sample. Achelis p. 73.
    """

    def __init__(self, window: int = 20, width: float = 2.0, *, sample: bool = False) -> None:
        self._width = _above_zero("width", width)
        self.value = Bands(nan, nan, nan)
        self._deviation = StandardDeviation(window, sample=sample)

    def update(self, value: float) -> Bands:
        half = self._width * self._deviation.update(value)
        if half != half:
            return Bands(nan, nan, nan)
        mean = self._deviation.mean
        self.value = Bands(mean - half, mean, mean + half)
        return self.value


class TrueRange:
    """The range of a bar together with the close before it (Wilder, Achelis p. 70).

    The first bar has only its own, or with *skip_first* none, as in TA-Lib.
    """

    def __init__(self, *, skip_first: bool = False) -> None:
        self.value = nan
        self._skips = skip_first
        self._before = nan

    def update(self, high: float, low: float, close: float) -> float:
        before, self._before = self._before, close
        if before != before and self._skips:
            return nan
        if before > high:
            high = before
        elif before < low:
            low = before
        self.value = high - low
        return self.value


class Atr:
    """Wilder's average of the true ranges (Wilder, Achelis p. 70).

    It begins with the mean of the first *window*; *skip_first* leaves the first bar out, as TA-Lib
    and Stock.Indicators do.
    """

    def __init__(self, window: int = 14, *, skip_first: bool = False) -> None:
        self.value = nan
        self._range = TrueRange(skip_first=skip_first)
        self._mean = Rma(window)

    def update(self, high: float, low: float, close: float) -> float:
        self.value = self._mean.update(self._range.update(high, low, close))
        return self.value


# How fast and which way they move.


class Lag:
    """The value of *window* updates ago."""

    def __init__(self, window: int) -> None:
        self.value = nan
        self._kept = deque([nan] * _whole("window", window), window)

    def update(self, value: float) -> float:
        if value != value:
            return value
        self.value = past = self._kept[0]
        self._kept.append(value)
        return past


class Momentum:
    """How far the value is above the one of *window* updates ago."""

    def __init__(self, window: int = 10) -> None:
        self.value = nan
        self._past = Lag(window)

    def update(self, value: float) -> float:
        if value != value:
            return value
        self.value = value - self._past.update(value)
        return self.value


class Roc:
    """How far the value is above the one of *window* updates ago, in percent of that.

    Achelis p. 197 has it as a ratio: 1 + Roc/100. From 0 the change is NaN.
    """

    def __init__(self, window: int = 10) -> None:
        self.value = nan
        self._past = Lag(window)

    def update(self, value: float) -> float:
        if value != value:
            return value
        past = self._past.update(value)
        self.value = 100.0 * (value - past) / past if past else nan
        return self.value


class Rsi:
    """Wilder's average rise as a part of average rise and average fall, in percent.

    From 0 to 100; 50 for a price that has not moved. Wilder, Achelis p. 299.
    """

    def __init__(self, window: int = 14) -> None:
        self.value = nan
        self._rises = _Rises(Rma(window), Rma(window))

    def update(self, value: float) -> float:
        share = self._rises.update(value)
        if share == share:
            self.value = share
        return share


class Cmo:
    """Sum of rises less sum of falls over *window* changes, in percent of both.

    From -100 to 100; 0 for a price that has not moved. Chande, The New Technical Trader, 1994,
    Achelis p. 102.
    """

    def __init__(self, window: int = 14) -> None:
        self.value = nan
        self._rises = _Rises(Sma(window), Sma(window))

    def update(self, value: float) -> float:
        balance = 2.0 * self._rises.update(value) - 100.0
        if balance == balance:
            self.value = balance
        return balance


class _Rises:
    """The average rise from one value to the next, in percent of the average rise and the average fall."""

    def __init__(self, rise: Sma | Rma, fall: Sma | Rma) -> None:
        self._rise = rise
        self._fall = fall
        self._before = nan

    def update(self, value: float) -> float:
        if value != value:
            return value
        change, self._before = value - self._before, value
        if change != change:
            return nan
        rise = self._rise.update(change if change > 0.0 else 0.0)
        fall = self._fall.update(-change if change < 0.0 else 0.0)
        return _percent(rise, fall)


class Trix:
    """The change from one value to the next of an Ema of an Ema of an Ema, in percent (Achelis p. 344)."""

    def __init__(self, window: int = 15, *, seed: Seed = "mean") -> None:
        self.value = nan
        self._averages = [Ema(window, seed=seed) for _ in range(3)]
        self._change = Roc(1)

    def update(self, value: float) -> float:
        for average in self._averages:
            value = average.update(value)
        change = self._change.update(value)
        if change == change:
            self.value = change
        return change


class MacdLines(msgspec.Struct, frozen=True, gc=False):
    """The MACD, its average, and how far the first is above the second."""

    line: float
    signal: float
    histogram: float


class Macd:
    """A *fast* Ema less a *slow* one; *signal* is the Ema of that (Appel, 1979; Achelis p. 202)."""

    def __init__(self, fast: int = 12, slow: int = 26, signal: int = 9, *, seed: Seed = "mean") -> None:
        if not fast < slow:
            raise ValueError(f"fast must be below slow: fast is {fast}, slow is {slow}")
        self.value = MacdLines(nan, nan, nan)
        self._fast = Ema(fast, seed=seed)
        self._slow = Ema(slow, seed=seed)
        self._signal = Ema(signal, seed=seed)

    def update(self, value: float) -> MacdLines:
        line = self._fast.update(value) - self._slow.update(value)
        signal = self._signal.update(line)
        lines = MacdLines(line, signal, line - signal)
        if value == value:
            self.value = lines
        return lines


class Cci:
    """How far the typical price is above its mean, in units of 0.015 mean deviations.

    0 for a price that has not moved. Its update takes time in proportion to *window*. Lambert,
    Commodity Channel Index, Commodities, 1980.
    """

    def __init__(self, window: int = 20) -> None:
        self._window = _whole("window", window)
        self.value = nan
        self._kept = deque[float](maxlen=window)

    def update(self, high: float, low: float, close: float) -> float:
        kept, price = self._kept, typical_price(high, low, close)
        kept.append(price)
        if len(kept) < self._window:
            return nan
        # Below the price, and not on its own: of a price that has not moved nothing is left.
        below = [price - each for each in kept]
        mean = sum(below) / self._window
        deviation = sum(map(abs, [each - mean for each in below])) / self._window
        self.value = mean / (0.015 * deviation) if deviation else 0.0
        return self.value


class Directions(msgspec.Struct, frozen=True, gc=False):
    """+DI and -DI, how much of the range is a move up or down, and how directed it is: ADX. Percent."""

    plus: float
    minus: float
    adx: float


class Adx:
    """Wilder's directional movement (Wilder).

    A bar moves up by what its high is above the last one, or down by what its low is below, the
    larger of both. The directions are Wilder's averages of these, in percent of that of the true
    range; ADX is Wilder's average of |+DI - -DI| / (+DI + -DI).
    """

    def __init__(self, window: int = 14) -> None:
        self.value = Directions(nan, nan, nan)
        self._range = Atr(window, skip_first=True)
        self._up = Rma(window)
        self._down = Rma(window)
        self._adx = Rma(window)
        self._high = self._low = nan

    def update(self, high: float, low: float, close: float) -> Directions:
        up, down = high - self._high, self._low - low
        self._high, self._low = high, low
        whole = self._range.update(high, low, close)
        if up != up:
            return self.value
        plus = self._up.update(up if up > down and up > 0.0 else 0.0)
        minus = self._down.update(down if down > up and down > 0.0 else 0.0)
        both = plus + minus
        adx = self._adx.update(100.0 * abs(plus - minus) / both if both else 0.0)
        share = 100.0 / whole if whole else 0.0
        self.value = Directions(plus * share, minus * share, adx)
        return self.value


class Psar:
    """The stop of Wilder's parabolic system: it follows the trend and turns when it is hit.

    It moves a part of the way to the trend's extreme with each bar: *step* at first, *step* more
    with each new extreme, *limit* at most; never into the last two bars. It begins with the second
    bar, down if that fell further than it rose, else up. Wilder; it begins as in TA-Lib.
    """

    def __init__(self, step: float = 0.02, limit: float = 0.2) -> None:
        self.value = nan
        self._step = _above_zero("step", step)
        self._limit = _above_zero("limit", limit)
        self._pace = step
        #: +1 up, -1 down, 0 before. A trend down is one up of the prices below zero.
        self._side = 0
        self._stop = self._extreme = nan
        self._high = self._low = nan

    def update(self, high: float, low: float) -> float:
        before, self._high, self._low = (self._high, self._low), high, low
        if before[0] != before[0]:
            return nan
        if not self._side:
            before = self._begin(before, (high, low))
        near, far = self._seen(high, low)
        if near <= self._stop:
            self._side = -self._side
            near, far = self._seen(high, low)
            self._stop = min(-self._extreme, near, self._seen(*before)[0])
            self.value = self._side * self._stop
            self._extreme, self._pace = far, self._step
        else:
            self.value = self._side * self._stop
            if far > self._extreme:
                self._extreme, self._pace = far, min(self._pace + self._step, self._limit)
        nearer = self._stop + self._pace * (self._extreme - self._stop)
        self._stop = min(nearer, near, self._seen(*before)[0])
        return self.value

    def _begin(self, first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
        rose, fell = second[0] - first[0], first[1] - second[1]
        self._side = -1 if fell > 0.0 and fell > rose else 1
        self._stop, self._extreme = self._seen(*first)[0], self._seen(*second)[1]
        return second

    def _seen(self, high: float, low: float) -> tuple[float, float]:
        """What of a bar is nearest to the stop, and what is farthest, as if the trend were up."""
        return (low, high) if self._side > 0 else (-high, -low)


# Prices with volumes.


class Obv:
    """The volumes of the bars that closed higher less those that closed lower; 0 at the first.

    Granville's New Key to Stock Market Profits, 1963; Achelis p. 231.
    """

    def __init__(self) -> None:
        self.value = 0.0
        self._before = nan

    def update(self, close: float, volume: float) -> float:
        if close > self._before:
            self.value += volume
        elif close < self._before:
            self.value -= volume
        self._before = close
        return self.value


class Adl:
    """The volumes, each times where its bar closed: 1 at the high, -1 at the low (Chaikin, Achelis p. 50).

    A bar without a range adds nothing.
    """

    def __init__(self) -> None:
        self.value = 0.0

    def update(self, high: float, low: float, close: float, volume: float) -> float:
        if high > low:
            self.value += volume * ((close - low) - (high - close)) / (high - low)
        return self.value


class Mfi:
    """Money that came with rising typical prices, in percent of all, over *window* changes.

    Money is typical price times volume. From 0 to 100; 50 where none came. Quong and Soudack,
    1989.
    """

    def __init__(self, window: int = 14) -> None:
        self.value = nan
        self._rise = Sma(window)
        self._fall = Sma(window)
        self._before = nan

    def update(self, high: float, low: float, close: float, volume: float) -> float:
        price = typical_price(high, low, close)
        before, self._before = self._before, price
        if before != before:
            return nan
        rise = self._rise.update(price * volume if price > before else 0.0)
        fall = self._fall.update(price * volume if price < before else 0.0)
        self.value = _percent(rise, fall)
        return self.value


# One price for a bar.


def typical_price(high: float, low: float, close: float) -> float:
    """(high + low + close) / 3 (Achelis p. 345)."""
    return (high + low + close) / 3.0


def median_price(high: float, low: float) -> float:
    """(high + low) / 2 (Achelis p. 191)."""
    return (high + low) / 2.0


def weighted_close(high: float, low: float, close: float) -> float:
    """(high + low + 2 close) / 4 (Achelis p. 364)."""
    return (high + low + 2.0 * close) / 4.0


def _percent(part: float, rest: float) -> float:
    """*part* in percent of both; 50 where there is neither."""
    both = part + rest
    return 100.0 * part / both if both else 50.0


def _whole(name: str, value: int, least: int = 1) -> int:
    # A float would be found out far from here.
    if type(value) is not int or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}: it is {value!r}")
    return value


def _above_zero(name: str, value: float) -> float:
    if not value > 0:
        raise ValueError(f"{name} must be above 0: it is {value!r}")
    return value
