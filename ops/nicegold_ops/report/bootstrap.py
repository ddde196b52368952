"""Runs as they might have been: the days of one, drawn again in blocks, so that neighbours stay neighbours.

The stationary bootstrap: Politis and Romano, Journal of the American Statistical Association, 1994.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from nicegold_ops.report.returns import deviation

#: Values drawn at once: what fits in a processor's cache is worked on several times as fast.
_BATCH = 2**17
#: As many correlations in a row must be insignificant before they count as gone.
_IN_A_ROW = 5

_Floats = npt.NDArray[np.float64]


def block_length(values: Sequence[float]) -> float:
    """The mean length of a block that estimates the variance of the mean of *values* best; at least 1.

    Politis and White, Automatic Block-Length Selection, Econometric Reviews, 2004, as corrected by
    Patton, Politis and White, 2009: (2 G^2 / D)^(1/3) n^(1/3) with D = 2 g(0)^2, where G and g(0)
    sum up the autocovariances under a flat-top window. It spans twice the first lag that, like four
    more after it, is insignificant: so do Patton's code, arch and R's np.
    """
    size = len(values)
    if size < 2 or not deviation(values):
        return 1.0
    covariances = _autocovariances(values)
    lags = np.arange(1, _window(covariances / covariances[0], size) + 1)
    # 1 up to half of the lags, and from there down to 0.
    weighted = np.clip(2.0 * (1.0 - lags / lags[-1]), 0.0, 1.0) * covariances[lags]
    slope, spectrum = 2.0 * float(lags @ weighted), float(covariances[0] + 2.0 * weighted.sum())
    if spectrum == 0:
        return 1.0
    longest = math.ceil(min(3.0 * math.sqrt(size), size / 3))
    return float(min(max((slope / spectrum) ** 2 * size, 1.0) ** (1 / 3), longest))


def resampled(
    values: Sequence[float], resamples: int, block: float, generator: np.random.Generator
) -> Iterator[_Floats]:
    """*resamples* rows as long as *values*, in batches, of blocks that are *block* long on average.

    A block begins anywhere, and after the last value comes the first.
    """
    source = np.asarray(values, np.float64)
    for rows in batches(resamples, len(values)):
        yield source[_indices(len(values), rows, 1.0 / block, generator)]


def batches(resamples: int, size: int) -> Iterator[int]:
    """How many of *resamples* rows of *size* values to draw at once, batch by batch."""
    rows = max(1, _BATCH // size)
    for begin in range(0, resamples, rows):
        yield min(rows, resamples - begin)


def _indices(size: int, rows: int, renewal: float, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Each follows the one before it, but with a probability of *renewal*, and in each row's first place."""
    is_new = generator.random((rows, size)) < renewal
    is_new[:, 0] = True
    places = np.flatnonzero(is_new)
    shifts = generator.integers(0, size, len(places)) - places
    lengths = np.diff(places, append=rows * size)
    indices = np.repeat(shifts, lengths) + np.arange(rows * size)
    return (indices % size).reshape(rows, size)


def _autocovariances(values: Sequence[float]) -> _Floats:
    """From lag 0 to the last one that the search for significant ones may look at."""
    size = len(values)
    centred = np.asarray(values, np.float64) - np.mean(values)
    lags = range(min(math.ceil(math.sqrt(size)) + _IN_A_ROW, size - 1) + 1)
    return np.array([centred[lag:] @ centred[: size - lag] / size for lag in lags])


def _window(correlations: _Floats, size: int) -> int:
    """Twice the lag from which on correlations are insignificant, and at most all lags."""
    bound = 2.0 * math.sqrt(math.log10(size) / size)
    is_significant = np.abs(correlations) >= bound
    most = len(correlations) - 1
    for lag in range(1, most - _IN_A_ROW + 2):
        if not is_significant[lag : lag + _IN_A_ROW].any():
            return min(2 * lag, most)
    return most
