"""Whether the memory of a paper session stays what it is, however long the session.

A real `nicegold run` trades simulated bars as fast as they come; from outside, its resident memory is
sampled beside the number of bars that its metrics show.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.request import urlopen

import msgspec
import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from scipy.stats import theilslopes  # type: ignore[import-untyped]  # it ships no types

from tests.bench.walk import scratch

#: MB that a million bars may add, by the lower end of the interval. In a million minutes gold trades for
#: two years and nine months.
MOST = 1.0
#: The part of the bars after which everything has been used once.
WARM = 0.3
#: s between two samples, and how many are kept at most.
_BETWEEN, _KEPT = 0.2, 50
_EVENTS = "nicegold_engine_events_total"
NICEGOLD = str(Path(sys.executable).with_name("nicegold"))

CONFIGURATION = """
[run]
mode = "paper"
cash = "1000000"
seed = 7
state = "{state}"

[instruments.XAUUSD]
tick_size = "0.01"
lot_size = "100"
quantity_step = "0.01"
margin_rate = "0.05"
sessions = "gold"
spread = "0.20"
swap_long = "-30"
swap_short = "10"

[plugins.gold]
use = "simulated"
instrument = "XAUUSD"

[plugins.quarters]
use = "resample"
instrument = "XAUUSD"
timeframe = "M15"

[plugins.cross]
use = "ma_cross"
instrument = "XAUUSD"
timeframe = "M1"
fast = 10
slow = 30
quantity = "0.10"

[plugins.breakout]
use = "donchian_breakout"
instrument = "XAUUSD"
timeframe = "M15"
quantity = "0.20"

[plugins.limit]
use = "max_position"
limit = "0.25"

[plugins.venue]
use = "paper"
"""


class Sample(msgspec.Struct, frozen=True):
    """Bars handled, orders that filled, and MB resident at that moment."""

    bars: int
    fills: int
    mb: float


class Memory(msgspec.Struct, frozen=True):
    """MB resident over the bars of a session, and what a million of them add after the warm-up.

    *samples* are some of them; *slope* is the median of the slopes between all pairs, *low* and *high* its
    95 % interval.
    """

    samples: list[Sample]
    slope: float
    low: float
    high: float


class SessionFailed(RuntimeError):
    """The session ended in an error, or before anything could be measured."""


def measure(seconds: float) -> Memory:
    """A paper session of so many *seconds*. Raises SessionFailed."""
    return memory(list(session(seconds)))


def memory(samples: Sequence[Sample]) -> Memory:
    """What *samples* say. Theil and Sen's slope: pages come in steps, which least squares would follow."""
    warm = [sample for sample in samples if sample.bars >= WARM * samples[-1].bars]
    x, y = np.array([sample.bars for sample in warm]) / 1e6, np.array([sample.mb for sample in warm])
    slope, _, low, high = theilslopes(y, x)
    return Memory(list(samples[:: len(samples) // _KEPT + 1]), float(slope), float(low), float(high))


def session(seconds: float) -> Iterator[Sample]:
    """Samples of `nicegold run` for so many *seconds*."""
    with scratch() as folder:
        command = [NICEGOLD, *arguments(Path(folder), seconds)]
        # Its log goes to a file: of a pipe that nobody reads, thousands of lines would wait.
        log = Path(folder) / "log"
        with (
            log.open("w") as said,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as run,
        ):
            yield from _sampled(run)
            run.communicate()
        if run.returncode:
            raise SessionFailed(f"nicegold run ended with {run.returncode}: {log.read_text()[-1000:]}")


def arguments(folder: Path, seconds: float) -> list[str]:
    """What `nicegold` is told, to trade for so many *seconds* in *folder*."""
    config = folder / "nicegold.toml"
    config.write_text(CONFIGURATION.format(state=folder / "state"))
    return ["run", "--config", str(config), "--seconds", str(seconds)]


def _sampled(run: subprocess.Popen[str]) -> Iterator[Sample]:
    """A sample now and then, as long as *run* trades: its report needs memory of its own."""
    said = run.stdout.readline() if run.stdout else ""
    url = said.rpartition(" ")[2].strip()
    while run.poll() is None and url:
        try:
            shown = _shown(url)
        except OSError:  # it is closing
            return
        if shown["nicegold_engine_state", "finished"]:
            return
        bars, fills = (int(shown.get((_EVENTS, event), 0)) for event in ("Bar", "Fill"))
        yield Sample(bars, fills, _resident(run.pid))
        time.sleep(_BETWEEN)


def _shown(url: str) -> dict[tuple[str, ...], float]:
    """The metrics at *url*, by name and labels. Raises OSError when nobody answers."""
    with urlopen(url, timeout=10) as answer:  # noqa: S310  # our own server, on this machine
        families = text_string_to_metric_families(answer.read().decode())
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


def _resident(process: int) -> float:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
