from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import campaign
from tests.fuzz.damage import damaged
from tests.fuzz.target import READERS, module
from tests.fuzz.test_readers import fuzzed

pytestmark = pytest.mark.slow

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None and os.environ.get("NICEGOLD_REQUIRE_SERVICES") != "1",
    reason="atheris is not installed; it has wheels for Linux on x86-64",
)
#: A reader that is broken, in a second folder of the package of tests.
PLANTED = """
def seeds():
    yield b"sound"

def check(content, folder):
    assert not content.startswith(b"b"), "it cannot read a b"
"""


@pytest.fixture(scope="module", params=READERS)
def reader(request):
    return module(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


@cache
def seeds_of(reader):
    return list(reader.seeds())


def test_each_seed_of_a_reader_keeps_the_law(reader, tmp_path):
    assert len(set(seeds_of(reader))) > 5
    for content in seeds_of(reader):
        reader.check(content, tmp_path)


def test_the_seeds_of_a_reader_are_the_same_each_time(reader):
    assert list(reader.seeds()) == seeds_of(reader)


@fuzzed
@given(number=st.integers(0, 100), changes=st.binary(max_size=16))
def test_damaged_seeds_keep_the_law(reader, number, changes, folder):
    seeds = seeds_of(reader)

    reader.check(damaged(seeds[number % len(seeds)], changes), folder)


@needs_atheris
def test_what_breaks_a_reader_is_kept_and_can_be_repeated(tmp_path, monkeypatch, capsys):
    planted = tmp_path / "tests" / "fuzz" / "planted.py"
    planted.parent.mkdir(parents=True)
    planted.write_text(PLANTED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    code = campaign.main(["planted", "--seconds", "20", "--seed", "1", "--found", str(tmp_path)])

    said = capsys.readouterr().out
    again = shlex.split(said.partition("again: ")[2])
    assert 1 == code
    assert "AssertionError: it cannot read a b" in said
    assert Path(again[-1]).read_bytes().startswith(b"b")
    assert b"it cannot read a b" in subprocess.run(again, capture_output=True, check=False).stderr


def test_without_atheris_a_campaign_is_skipped_and_says_why(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.delenv("NICEGOLD_REQUIRE_SERVICES", raising=False)

    assert 0 == campaign.main([])
    assert "fuzz: skipped, atheris is not installed" in capsys.readouterr().out


def test_where_nothing_may_be_skipped_a_campaign_without_atheris_fails(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("NICEGOLD_REQUIRE_SERVICES", "1")

    assert 1 == campaign.main([])
    assert "NICEGOLD_REQUIRE_SERVICES=1 asks for it" in capsys.readouterr().err
