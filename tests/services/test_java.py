"""What Maven brings is what is listed, or nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.services.java import check


@pytest.fixture
def hashes(tmp_path: Path) -> Path:
    """A list of one jar."""
    file = tmp_path / "1.0.sha256"
    file.write_text(f"{hashlib.sha256(b'gold').hexdigest()}  gold.jar\n")
    return file


@pytest.fixture
def jars(tmp_path: Path) -> Path:
    """A folder with that jar."""
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / "gold.jar").write_bytes(b"gold")
    return folder


def test_jars_as_listed_are_taken(hashes, jars):
    check(hashes, jars)


def test_a_jar_that_differs_or_is_not_listed_is_refused(hashes, jars):
    (jars / "gold.jar").write_bytes(b"lead")
    (jars / "lead.jar").write_bytes(b"lead")

    with pytest.raises(SystemExit, match=r"1\.0\.sha256 lists: gold\.jar, lead\.jar$"):
        check(hashes, jars)


def test_a_jar_that_is_missing_is_refused(hashes, jars):
    (jars / "gold.jar").unlink()

    with pytest.raises(SystemExit, match=r"1\.0\.sha256 lists: gold\.jar$"):
        check(hashes, jars)
