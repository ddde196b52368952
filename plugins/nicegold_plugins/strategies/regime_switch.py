"""Be in the market while it is calm, as a Markov switching model tells calm from wild.

Hamilton (1989), "A new approach to the economic analysis of nonstationary time series", with two
regimes that differ in variance; fitted by statsmodels, filtered here between two fits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from math import exp, log, sqrt
from typing import Any

from nicegold import Bar, Health, Order, Portfolio, bar_lengths, hookimpl, plugin, reach

#: Where each fit begins: the chances of being calm next from calm and from wild, and the variances
#: of both as parts of the whole. Fixed, and no random search, so that a replay repeats every fit.
_START = (0.9, 0.1, 0.25, 4.0)


class NoFit(ValueError):
    """The model says nothing about these closes."""


@dataclass(frozen=True)
class Regimes:
    """A fitted model: the variances of log returns, and the chances of being calm on the next bar."""

    calm: float
    wild: float
    from_calm: float
    from_wild: float

    def calm_after(self, calm_before: float, change: float) -> float:
        """The chance that a bar with the log return *change* is calm: one step of Hamilton's filter."""
        expected = self.from_calm * calm_before + self.from_wild * (1 - calm_before)
        # exp overflows past 709, and e^700 to one is certain enough.
        exponent = min(change * change * (1 / self.calm - 1 / self.wild) / 2, 700.0)
        wild = (1 - expected) * sqrt(self.calm / self.wild) * exp(exponent)
        return expected / (expected + wild)


@plugin
class RegimeSwitch:
    """Hold *quantity* lots while the chance that the market is calm is above *confidence*, else nothing.

    The model is fitted to the last *window* log returns, again every *refit* bars, and never sees
    a later bar; a fit takes about 0.1 s. While there is no fit, or the last one failed, we are
    flat, and `health` says why. Only a change asks: an order that was vetoed is not asked for
    again. *timeframe* picks the bars of one length; without it every bar of *instrument* counts.
    """

    instrument: str
    quantity: Decimal
    window: int = 500
    refit: int = 250
    confidence: float = 0.5
    timeframe: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if not (self.quantity.is_finite() and self.quantity > 0):
            raise ValueError(f"quantity must be above 0: it is {self.quantity}")
        if not self.window >= 50:
            raise ValueError(f"window must be at least 50, or there is nothing to fit: it is {self.window}")
        if not self.refit > 0:
            raise ValueError(f"refit must be above 0: it is {self.refit}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence must be between 0 and 1: it is {self.confidence}")
        self._lengths = bar_lengths(self.timeframe)
        self._closes = deque[float](maxlen=self.window + 1)
        self._bars_to_fit = 0
        self._regimes: Regimes | None = None
        self._calm = 0.0
        self._trouble = ""
        self._is_in = False

    @hookimpl
    def startup(self) -> None:
        # It takes seconds to import, so only who trades with it pays.
        from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

        self._model: Callable[..., Any] = MarkovRegression

    @hookimpl
    def health(self) -> Health:
        if self._trouble:
            return Health(False, f"flat for {self._bars_to_fit} more bars: {self._trouble}")
        if self._regimes is None:
            return Health(True, f"waiting for closes: {len(self._closes)} of {self.window + 1}")
        return Health(True, f"the market is calm with a chance of {self._calm:.2f}")

    @hookimpl
    def on_bar(self, bar: Bar, portfolio: Portfolio) -> list[Order] | None:
        if bar.symbol != self.instrument or (self.timeframe and bar.time - bar.start not in self._lengths):
            return None
        self._closes.append(bar.close)
        if len(self._closes) <= self.window:
            return None
        self._judge()
        is_in = self._calm > self.confidence
        if is_in is self._is_in:
            return None
        self._is_in = is_in
        target = self.quantity if is_in else Decimal(0)
        return reach(target, self.instrument, self.name, portfolio) or None

    def _judge(self) -> None:
        """Set the chance of calm, by a new fit when it is time."""
        if self._bars_to_fit:
            self._bars_to_fit -= 1
            if self._regimes is not None:
                self._calm = self._regimes.calm_after(self._calm, log(self._closes[-1] / self._closes[-2]))
            return
        self._bars_to_fit = self.refit - 1
        try:
            self._regimes, self._calm = _fit(self._model, self._closes)
            self._trouble = ""
        except NoFit as error:
            self._regimes, self._calm, self._trouble = None, 0.0, str(error)


def _fit(model: Callable[..., Any], closes: deque[float]) -> tuple[Regimes, float]:
    """The regimes that explain *closes* best, and the chance that the last bar is calm. Raises NoFit."""
    import numpy as np

    changes = np.diff(np.log(closes))
    scale = float(np.sqrt(np.mean(changes**2)))
    if not scale > 0:
        raise NoFit("the price does not move")
    try:
        # What numpy would warn of is an error here: a fit that divides by zero is none.
        with np.errstate(divide="raise", over="raise", invalid="raise"):
            found = model(changes / scale, k_regimes=2, trend="n", switching_variance=True).fit(
                _START, em_iter=0, cov_type="none", disp=False, warn_convergence=False
            )
    except (ArithmeticError, RuntimeError, np.linalg.LinAlgError) as error:
        raise NoFit(f"the fit failed: {error}") from None
    # Asked instead of warned of.
    if not found.mle_retvals["converged"]:
        raise NoFit("the fit did not converge")
    return _ordered(found, scale)


def _ordered(found: Any, scale: float) -> tuple[Regimes, float]:
    variances = found.params[2:]
    calm = int(variances.argmin())
    low, high = (float(variances[each]) * scale**2 for each in (calm, 1 - calm))
    if not 0 < low <= high < float("inf"):
        raise NoFit(f"the fit has variances {low} and {high}")
    # statsmodels has it as [to, from].
    to_calm = found.regime_transition[calm, :, 0]
    regimes = Regimes(low, high, float(to_calm[calm]), float(to_calm[1 - calm]))
    return regimes, float(found.filtered_marginal_probabilities[-1, calm])
