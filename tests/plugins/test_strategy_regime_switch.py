from __future__ import annotations

import math
import random
import subprocess
import sys
from decimal import Decimal
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

from nicegold import Bar
from nicegold.testing import check_conformance
from nicegold_plugins.strategies.regime_switch import Regimes, RegimeSwitch
from tests.plugins.decisions import closes, held_after_each

CALM, WILD = 0.0005, 0.004


def switch(**settings: Any) -> RegimeSwitch:
    defaults: dict[str, Any] = {
        "instrument": "XAUUSD",
        "quantity": Decimal("0.10"),
        "window": 200,
        "refit": 50,
        "name": "regimes",
    }
    strategy = RegimeSwitch(**(defaults | settings))
    strategy.startup()
    return strategy


def changes(*parts: tuple[int, float], seed: int = 7) -> list[float]:
    """Log returns: of each part so many, with such a deviation."""
    draw = random.Random(seed)
    return [draw.gauss(0.0, deviation) for count, deviation in parts for _ in range(count)]


def bars(returns: list[float]) -> list[Bar]:
    return closes(*(2000.0 * math.exp(total) for total in accumulate(returns, initial=0.0)))


def share_held(held: list[Decimal]) -> float:
    """The part of the bars on which anything is held."""
    return sum(map(bool, held)) / len(held)


def test_it_holds_while_the_market_is_calm_and_nothing_while_it_is_wild():
    seen = bars(changes((100, CALM), (100, WILD), (150, CALM), (60, WILD), (60, CALM)))

    held = held_after_each(switch(), seen)

    assert [0] * 200 == held[:200]
    # A few small moves in a row look calm, wherever they are; the filter also needs some bars to be sure.
    assert 1.0 == share_held(held[230:351])
    assert share_held(held[361:411]) < 0.25
    assert 1.0 == share_held(held[430:])


def test_between_two_fits_it_filters_as_statsmodels_does():
    returns = changes((150, CALM), (100, WILD), (150, CALM))
    params = (0.97, 0.06, CALM**2, WILD**2)
    model = MarkovRegression(np.array(returns), k_regimes=2, trend="n", switching_variance=True)
    theirs = model.filter(params).filtered_marginal_probabilities[:, 0]
    regimes = Regimes(calm=CALM**2, wild=WILD**2, from_calm=0.97, from_wild=0.06)

    ours = list(accumulate(returns[1:], regimes.calm_after, initial=float(theirs[0])))

    assert ours == pytest.approx(list(theirs), rel=1e-9, abs=1e-12)


def test_a_move_beyond_all_experience_is_wild():
    regimes = Regimes(calm=CALM**2, wild=WILD**2, from_calm=0.97, from_wild=0.06)

    assert pytest.approx(0.0, abs=1e-100) == regimes.calm_after(1.0, 0.9)


def test_the_chance_that_a_fit_starts_from_is_that_of_statsmodels():
    seen = bars(changes((100, CALM), (100, WILD)))
    strategy = switch()
    returns = np.diff(np.log([each.close for each in seen]))
    scale = math.sqrt(np.mean(returns**2))
    model = MarkovRegression(returns / scale, k_regimes=2, trend="n", switching_variance=True)
    fitted = model.fit(disp=False)
    calm = int(np.argmin(fitted.params[2:]))

    held_after_each(strategy, seen)

    theirs = fitted.filtered_marginal_probabilities[-1, calm]
    assert f"the market is calm with a chance of {theirs:.2f}" == strategy.health().detail


def test_what_comes_later_changes_no_decision():
    past = changes((100, CALM), (100, WILD), (70, CALM))
    seen, other = (bars(past + changes((60, WILD), seed=seed)) for seed in (1, 2))

    assert held_after_each(switch(), seen[:271]) == held_after_each(switch(), other)[:271]


def test_two_runs_decide_the_same():
    seen = bars(changes((120, CALM), (120, WILD), (120, CALM)))

    assert held_after_each(switch(), seen) == held_after_each(switch(), seen)


def test_before_the_first_fit_it_says_what_it_waits_for():
    strategy = switch()

    held_after_each(strategy, bars([0.001] * 4))

    assert (True, "waiting for closes: 5 of 201") == (strategy.health().ok, strategy.health().detail)


def test_a_price_that_does_not_move_leaves_it_flat_and_says_so():
    strategy = switch()

    held = held_after_each(strategy, bars([0.0] * 210))

    assert [0] * 211 == held
    assert not strategy.health().ok
    assert "flat for 39 more bars: the price does not move" == strategy.health().detail


def test_a_fit_that_does_not_converge_leaves_it_flat_and_says_so():
    # The likelihood has no highest point when one of the variances can shrink to nothing.
    strategy = switch(window=100)
    seen = bars([0.0] * 50 + changes((50, WILD)))

    held = held_after_each(strategy, seen)

    assert [0] * 101 == held
    assert not strategy.health().ok
    assert "flat for 49 more bars: the fit" in strategy.health().detail


def test_it_leaves_the_market_when_a_later_fit_fails_and_comes_back_with_the_next_that_does_not():
    strategy = switch(window=60, refit=60)
    moving = changes((20, WILD), (40, CALM))
    returns = [*moving, *[0.0] * 60, *moving]

    held = held_after_each(strategy, bars(returns))

    assert [Decimal("0.10"), 0, Decimal("0.10")] == [held[60], held[120], held[180]]
    assert strategy.health().ok


def test_statsmodels_is_imported_only_by_who_trades_with_it():
    program = (
        "import sys, nicegold_plugins.strategies.regime_switch as it; print('statsmodels' in sys.modules)"
    )

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "False" == said.stdout.strip()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 49}, "window must be at least 50, or there is nothing to fit: it is 49"),
        ({"refit": 0}, "refit must be above 0: it is 0"),
        ({"confidence": 1.0}, "confidence must be between 0 and 1: it is 1.0"),
        ({"quantity": Decimal(0)}, "quantity must be above 0: it is 0"),
        ({"timeframe": "x"}, 'timeframe is "x"; write a unit and a count'),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        switch(**settings)


def test_it_keeps_the_contract_of_a_strategy():
    check_conformance(lambda: RegimeSwitch(instrument="XAUUSD", quantity=Decimal("0.10"), window=60))
