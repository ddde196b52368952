"""Files that Hypothesis makes up, and what may befall them: each line is accounted for.

`make fuzz` draws more of them than `make test`, and `make soak` others.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicegold import Clock, Market
from nicegold_plugins.feeds.csv import Csv
from nicegold_plugins.feeds.ticks import Ticks
from tests.fuzz import csv, forms, ticks
from tests.fuzz.forms import BARS, ENCODINGS, PACKINGS, TICKS, Form, happen
from tests.fuzz.law import OPEN_ALWAYS, SYMBOL, Outcome, outcome_of

pytestmark = pytest.mark.slow

_FORMS = [*BARS.values(), *TICKS.values()]
_WITH_SYMBOL = (BARS["symbol first"], TICKS["TrueFX"])
_CLOCKS = ("UTC", "UTC+2", "America/New_York+7")
#: Files that a test draws, and whether they are others each time.
_COUNT, _IS_SOAK = int(os.environ.get("NICEGOLD_FUZZ_FILES", "100")), "NICEGOLD_FUZZ_SOAK" in os.environ
fuzzed = settings(max_examples=_COUNT, derandomize=not _IS_SOAK)
#: Steps to the next bar or quote, and prices in hundredths. All are before a clock is changed.
MOVE = st.tuples(st.integers(1, 3), st.integers(100, 300_000))
MOVES = st.lists(MOVE, max_size=50)
#: So many that a few odd ones are not taken for the rule.
MANY_MOVES = st.lists(MOVE, min_size=8, max_size=50)
CHANCE = st.randoms(use_true_random=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def made(
    form: Form, moves: Sequence[tuple[int, int]], timezone: str = "UTC"
) -> tuple[list[Market], list[bytes]]:
    """What is in a file, and its lines. The first two are one step apart: that is its timeframe."""
    steps = [1, 1, *(step for step, _ in moves)]
    prices = [168_700, 168_713, *(price for _, price in moves)]
    clock = Clock.parse(timezone)
    market = forms.market(form, steps, prices, clock)
    return market, forms.written(form, market, clock)


def feed_of(form: Form, path: Path, **said: Any) -> Csv | Ticks:
    of_all = {"instrument": SYMBOL, "path": path, "timezone": "UTC", **form.settings, **said}
    return Ticks(**of_all) if "bid" in form.numbers else Csv(**{"timeframe": "M1", **of_all})


def read(feed: Csv | Ticks) -> Outcome:
    if isinstance(feed, Ticks):
        return outcome_of(feed, feed.stream_market, OPEN_ALWAYS)
    return outcome_of(feed, partial(feed.stream_market, OPEN_ALWAYS), OPEN_ALWAYS)


@fuzzed
@given(
    form=st.sampled_from(_FORMS),
    moves=MOVES,
    timezone=st.sampled_from(_CLOCKS),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    packing=st.sampled_from(sorted(PACKINGS)),
    is_newest_first=st.booleans(),
    is_ended=st.booleans(),
)
def test_a_sound_file_is_read_whole(
    form, moves, timezone, encoding, packing, is_newest_first, is_ended, folder
):
    expected, lines = made(form, moves, timezone)
    header = len(lines) - len(expected)
    turned = lines[:header] + lines[:header:-1] + lines[header : header + 1] if is_newest_first else lines
    content = b"".join(turned) if is_ended else b"".join(turned).rstrip(b"\r\n")
    path = folder / "whole.csv"
    path.write_bytes(PACKINGS[packing](ENCODINGS[encoding](content)))

    found = read(feed_of(form, path, timezone=timezone, order="newest" if is_newest_first else ""))

    assert Outcome(expected, []) == found


@fuzzed
@given(form=st.integers(0, len(BARS) - 1), flags=st.integers(0, 63), moves=MOVES, chance=CHANCE)
def test_whatever_befalls_bars_each_line_is_accounted_for(form, flags, moves, chance, folder):
    _, lines = made([*BARS.values()][form], moves)

    csv.check(bytes([form, flags]) + happen(lines, chance, chance.randrange(8)), folder)


@fuzzed
@given(form=st.integers(0, len(TICKS) - 1), flags=st.integers(0, 15), moves=MOVES, chance=CHANCE)
def test_whatever_befalls_ticks_each_line_is_accounted_for(form, flags, moves, chance, folder):
    _, lines = made([*TICKS.values()][form], moves)

    ticks.check(bytes([form, flags]) + happen(lines, chance, chance.randrange(8)), folder)


@fuzzed
@given(form=st.integers(0, len(BARS) - 1), moves=MOVES, chance=CHANCE)
def test_whatever_befalls_bids_and_asks_apart_each_line_is_accounted_for(form, moves, chance, folder):
    _, lines = made([*BARS.values()][form], moves)
    sides = (happen(lines, chance, chance.randrange(4)) for _ in range(2))

    csv.check(bytes([form, csv.ASKS]) + csv.APART.join(sides), folder)


@fuzzed
@given(form=st.sampled_from(_FORMS), moves=MOVES, chance=CHANCE)
def test_what_befalls_some_lines_does_not_change_what_others_say(form, moves, chance, folder):
    market, lines = made(form, moves)
    header, rows = lines[: len(lines) - len(market)], lines[len(lines) - len(market) :]
    meant = dict(zip(rows, market, strict=True))
    path = folder / "changed.csv"
    path.write_bytes(b"".join(header) + happen(rows, chance, chance.randrange(8)))

    found = read(feed_of(form, path, order="oldest"))

    defects = {each.line for each in found.defects}
    left = [
        line + b"\n"
        for number, line in enumerate(path.read_bytes().removesuffix(b"\n").split(b"\n"), 1)
        if number > len(header) and number not in defects and line.strip()
    ]
    said = [(meant.get(line), each) for line, each in zip(left, found.market, strict=not found.refused)]
    assert [] == [pair for pair in said if pair[0] is not None and pair[0] != pair[1]]


@fuzzed
# The symbol is that of the first line, whichever that is.
@given(
    form=st.sampled_from(_FORMS).filter(lambda form: form not in _WITH_SYMBOL),
    moves=MANY_MOVES,
    chance=CHANCE,
)
def test_a_file_with_its_newest_line_first_gives_what_it_gives_turned_round(form, moves, chance, folder):
    market, lines = made(form, moves)
    header, rows = lines[: len(lines) - len(market)], lines[len(lines) - len(market) :]
    oldest = whole(happen(rows, chance, chance.randrange(4)))
    for name, turned in (("oldest", oldest), ("newest", oldest[::-1])):
        (folder / name).write_bytes(b"".join([*header, *turned]))

    forth, back = (read(feed_of(form, folder / name, order=name)) for name in ("oldest", "newest"))

    count = 2 * len(header) + len(oldest) + 1
    mirrored = [(each.kind, count - each.line, each.text) for each in back.defects]
    # Which lines are looked at first, to recognise a file, is another matter.
    if not (forth.refused or back.refused):
        assert forth.market == back.market
        assert [(each.kind, each.line, each.text) for each in forth.defects] == mirrored


def whole(content: bytes) -> list[bytes]:
    """The lines of *content*, each with an end."""
    return [line + b"\n" for line in content.removesuffix(b"\n").split(b"\n")]
