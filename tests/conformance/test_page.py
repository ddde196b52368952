"""docs/write-a-broker.md shows the broker and the rig that are tested here, and the cases that there are."""

from __future__ import annotations

import os
from pathlib import Path

from cogapp import Cog

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_code_says(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)

    code = Cog().main(["cog", "--check", "--diff", os.path.join("docs", "write-a-broker.md")])

    assert 0 == code, capsys.readouterr().out
