"""Blocks have codes that only who has the key can make, so that a chain is not written anew unseen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from nicegold import Secret
from nicegold_ops.audit.keys import MacKeys, OfSecret
from nicegold_ops.audit.proof import Proof, proofs
from nicegold_ops.chain import MacKey
from nicegold_ops.people import InFolder, People
from nicegold_ops.store.place import open_store
from tests.ops.audit.test_checkpoint import do, pem, written_anew
from tests.ops.test_witness import lived

pytestmark = pytest.mark.slow

SECRET = "0123456789abcdef" * 2
AUDIT = ('audit.signing_key="file:audit.pem"', 'audit.mac_key="env:MAC"')


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    """Of two sessions whose blocks have codes."""
    monkeypatch.setenv("MAC", SECRET)
    (tmp_path / "audit.pem").write_text(pem().reveal())
    for name in ("first", "second"):
        lived(tmp_path, *AUDIT, name=name, bars=100).close()
    engine = open_store(tmp_path / "state" / "journal.sqlite")
    yield engine
    engine.dispose()


@pytest.fixture
def keys() -> OfSecret:
    return OfSecret(Secret(SECRET))


def faults(store: sa.Engine, keys: MacKeys | None) -> dict[str, str]:
    return {each.run: each.fault for each in proofs(store, keys=keys)}


def test_each_block_of_a_session_has_the_code_of_who_wrote_it(store, keys):
    found = list(proofs(store, keys=keys))

    assert ["", ""] == [each.fault for each in found]
    assert all(each.codes and each.codes > each.blocks > 0 for each in found)


def test_without_the_key_codes_are_not_looked_at(store):
    assert [(None, ""), (None, "")] == [(each.codes, each.fault) for each in proofs(store)]


def test_a_chain_that_was_written_anew_is_found_without_a_checkpoint(store, keys):
    written_anew(store, "first")

    assert {"first": "", "second": ""} == faults(store, None)
    found = faults(store, keys)
    assert "" == found["second"]
    assert found["first"].endswith(f"of first was not written by who has the key {keys.newest('x').name}")


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("UPDATE blocks SET mac = NULL WHERE run = 'first'", "block 0 of first was not written by who has"),
        (
            "UPDATE calls SET mac = (SELECT mac FROM blocks WHERE run = 'first' AND number = 0) "
            "WHERE run = 'first'",
            "block 0 of first/calls was not written by who has",
        ),
        (
            "UPDATE blocks SET mac = (SELECT mac FROM blocks AS o WHERE o.run = 'second' AND "
            "o.number = blocks.number) WHERE run = 'first'",
            "block 0 of first was not written by who has",
        ),
        ("UPDATE runs SET mac_key = 'secret:000000000000' WHERE run = 'first'", "another"),
    ],
)
def test_codes_that_were_taken_away_or_moved_are_found(store, keys, deed, said):
    do(store, deed)

    found = faults(store, keys)

    assert "" == found["second"]
    if said == "another":
        said = f"was written with the key secret:000000000000, and [audit] names {keys.newest('x').name}"
    assert said in found["first"]


def test_a_run_without_codes_after_one_that_has_them_is_a_fault(store, keys):
    do(store, "UPDATE runs SET mac_key = '' WHERE run = 'second'")

    assert "run second has no codes, and first before it has" in faults(store, keys)["second"]


@pytest.mark.parametrize("deed", ["", "UPDATE runs SET mac_key = ''"])
def test_actions_without_codes_after_what_has_them_are_a_fault(store, keys, tmp_path, deed):
    later = iter([2**61, 2**61 + 1, 0])
    for key, action in ((keys.newest("actions"), "approval.granted"), (None, "halt.lifted")):
        people = People(store, InFolder(tmp_path), draw=lambda: "1", wall=lambda: next(later), key=key)
        people.did("Ana", action)
    do(store, deed or "UPDATE actions SET mac_key = '' WHERE number = 0")

    number, before = (2, "action 0") if deed else (0, "first")
    assert f"action {number} has no codes, and {before} before it has" in faults(store, keys)["actions"]


def test_runs_without_a_key_have_no_codes_and_no_fault(tmp_path, keys):
    lived(tmp_path, bars=100).close()
    engine = open_store(tmp_path / "state" / "journal.sqlite")

    [found] = proofs(engine, keys=keys)
    engine.dispose()

    assert Proof("run", found.events, found.blocks, codes=0) == found


def test_a_key_says_its_name_and_never_itself(keys):
    key = keys.newest("run")

    assert f"MacKey('{key.name}')" == repr(key)
    assert SECRET not in key.name
    assert not key.fits("run", 0, b"digest", None)


def test_writers_do_not_have_each_others_keys(keys):
    codes = {keys.newest(writer).mac("chain", 0, b"digest") for writer in ("first", "second")}

    assert 2 == len(codes)


def test_a_block_is_coded_with_all_before_it():
    key = MacKey("name", b"key")

    codes = {key.mac(chain, number, digest) for chain in "ab" for number in (1, 2) for digest in (b"x", b"y")}

    assert 8 == len(codes)
