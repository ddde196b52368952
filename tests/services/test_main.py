"""`make services` leaves none out."""

from __future__ import annotations

from pathlib import Path

from tests.services.__main__ import SERVERS

HERE = Path(__file__).parent


def test_each_server_that_is_not_debians_is_brought_by_make_services():
    fetched = {path.stem for path in HERE.glob("*.py") if "\ndef fetch() " in path.read_text()}

    assert fetched == {server.__name__.rpartition(".")[2] for server in SERVERS}
