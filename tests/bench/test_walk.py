"""All engines get the same bars, and ours does the work that the peers' numbers are about."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.bench import walk
from tests.bench.engines import Alone, Everything, backtest, fills_on_journal
from tests.bench.scenario import EXPECTED, bare_loop, bars, rows
from tests.shared import shared

COUNT = 20_000
gaps = pytest.mark.parametrize("gap", [False, True])


@gaps
def test_our_walk_is_the_peers_walk(gap, monkeypatch):
    scripts = shared("bench/peers")
    monkeypatch.syspath_prepend(scripts)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    data = pytest.importorskip("data")

    theirs = data.ticks(COUNT, gap=gap)

    priced = ((time, *(tick / 100 for tick in ticks), volume) for time, *ticks, volume in theirs)
    assert list(priced) == list(rows(COUNT, gap=gap))


def test_a_shorter_walk_is_the_beginning_of_a_longer_one():
    assert list(rows(10)) == list(islice(rows(100), 10))


@gaps
def test_the_bare_loop_does_the_work(gap):
    table = list(rows(COUNT, gap=gap))

    fills, equity = bare_loop([row[1] for row in table], [row[4] for row in table])

    assert EXPECTED[COUNT, gap] == (fills, round(equity, 2))


@gaps
def test_the_engine_does_the_work_in_each_way(gap, tmp_path):
    table = list(rows(COUNT, gap=gap))
    whole, watched = tmp_path / "whole", tmp_path / "watched"
    whole.mkdir()
    watched.mkdir()

    outcomes = [
        Alone()(bars(table)),
        Everything(watched=True).run(bars(table), watched),
        backtest(lambda: bars(table), whole),
    ]

    fills, equity = EXPECTED[COUNT, gap]
    assert [(fills, equity)] * 3 == [(each.fills, round(each.equity, 2)) for each in outcomes]
    assert [fills, fills] == [fills_on_journal(watched), fills_on_journal(whole)]


def test_every_call_is_watched_or_none(tmp_path):
    table = list(rows(100))

    watched, unwatched = (Everything(watched=on)(bars(table)) for on in (True, False))

    assert watched.calls >= len(table)
    assert 0 == unwatched.calls


def test_bars_are_written_once_and_looked_at_before_each_use(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(walk, "DATA", tmp_path)
    walk.write(100, gap=True)
    walk.write(100, gap=True)
    path = walk.file_of(100, gap=True)
    table = np.load(path)
    assert list(rows(100, gap=True)) == [tuple(row) for row in table.tolist()]

    table["close"][50] += 0.01
    np.save(path, table)

    with pytest.raises(walk.OtherBars, match=r"bars_100_gap\.npy holds other bars than ours; remove it"):
        walk.write(100, gap=True)
