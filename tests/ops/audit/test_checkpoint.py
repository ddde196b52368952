"""What a hash chain alone does not show: an end cut off, all of it written anew, a chain taken away."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from nicegold import Secret
from nicegold_ops.audit.checkpoint import Notary, Signed, ends, faults, open_ends, published, stored
from nicegold_ops.audit.proof import proofs
from nicegold_ops.audit.signing import PrivateKey, PublicKey
from nicegold_ops.errors import ConfigurationError, DataError
from nicegold_ops.store.place import open_store
from nicegold_ops.store.tables import blocks, checkpoints
from tests.ops.test_witness import lived

pytestmark = pytest.mark.slow


def pem() -> Secret:
    key = Ed25519PrivateKey.generate()
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


@pytest.fixture(scope="module")
def signer() -> PrivateKey:
    return PrivateKey(pem())


@pytest.fixture
def site(tmp_path: Path, signer: PrivateKey) -> Iterator[tuple[sa.Engine, Path]]:
    """A store of two sessions, a checkpoint after each, and the file where they were published."""
    file = tmp_path / "published.jsonl"
    for name in ("first", "second"):
        lived(tmp_path, name=name, bars=100).close()
        store = open_store(tmp_path / "state" / "journal.sqlite")
        assert Notary(store, signer, file, lambda: 1).sign()
        store.dispose()
    store = open_store(tmp_path / "state" / "journal.sqlite")
    yield store, file
    store.dispose()


def do(store: sa.Engine, *statements: str) -> None:
    with store.begin() as connection:
        for statement in statements:
            assert connection.exec_driver_sql(statement).rowcount


def written_anew(store: sa.Engine, run: str) -> None:
    """Each order of *run* is ten times as large, and all that follows from it is right."""
    digest = bytes(32)
    with store.begin() as connection:
        for row in connection.execute(
            blocks.select().where(blocks.c.run == run).order_by(blocks.c.number)
        ).all():
            payload = row.payload.replace(b'"0.10"', b'"1.00"')
            digest = hashlib.sha256(digest + payload).digest()
            here = (blocks.c.run == run) & (blocks.c.number == row.number)
            connection.execute(blocks.update().where(here).values(payload=payload, digest=digest))
        connection.exec_driver_sql(
            "UPDATE outbox SET payload = CAST(replace(CAST(payload AS TEXT), '\"0.10\"', '\"1.00\"') "
            "AS BLOB) WHERE run = 'first'"
        )


def test_what_nobody_touched_is_as_the_checkpoints_say(site, signer):
    store, file = site

    assert [] == list(faults(store, stored(store), signer))
    assert stored(store) == published(file)
    assert [] == open_ends(store, stored(store))
    assert [] == list(faults(store, published(file), PublicKey(signer.public)))


def test_a_tail_that_was_cut_off_is_found(site, signer):
    store, _ = site
    [last] = [each.number for each in ends(store) if each.writer == "second"]
    do(store, "DELETE FROM blocks WHERE run = 'second' AND number > 3")

    assert [f"second is not as checkpoint 1 says: block {last} is not there, its tail was cut off"] == list(
        faults(store, stored(store), signer)
    )


def test_a_chain_that_was_written_anew_from_its_beginning_is_found(site, signer):
    store, _ = site
    written_anew(store, "first")

    # By itself it is sound.
    assert "" == next(each.fault for each in proofs(store) if each.run == "first")
    [found] = faults(store, stored(store), signer)
    assert found.startswith("first is not as checkpoint 0 says: it was written anew, up to block ")


@pytest.mark.parametrize(
    ("deed", "writer"),
    [
        ("DELETE FROM blocks WHERE run = 'first'", "first"),
        ("DELETE FROM calls WHERE run = 'first'", "first/calls"),
    ],
)
def test_a_chain_that_was_taken_away_is_found(site, signer, deed, writer):
    store, _ = site
    do(store, deed)

    assert [f"{writer} is not as checkpoint 0 says: all of it is gone"] == list(
        faults(store, stored(store), signer)
    )


def test_whoever_takes_a_run_away_with_its_checkpoints_is_found_by_what_was_published(site, signer):
    store, file = site
    do(store, "DELETE FROM blocks WHERE run = 'second'", "DELETE FROM calls WHERE run = 'second'")
    do(store, "DELETE FROM runs WHERE run = 'second'", "DELETE FROM checkpoints WHERE number = 1")

    assert [] == list(faults(store, stored(store), signer))
    assert {"second", "second/calls"} == {
        found.partition(" ")[0] for found in faults(store, published(file), signer)
    }


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        (
            "UPDATE checkpoints SET payload = replace(payload, '\"number\":0', '\"number\":9')",
            "not signed with",
        ),
        ("DELETE FROM checkpoints WHERE number = 0", "checkpoint 0 is missing"),
        (
            "UPDATE checkpoints SET payload = (SELECT payload FROM checkpoints WHERE number = 0) "
            "WHERE number = 1",
            "checkpoint 1 was not signed with this key",
        ),
    ],
)
def test_a_checkpoint_that_was_changed_is_not_believed(site, signer, deed, said):
    store, _ = site
    do(store, deed)

    assert said in next(iter(faults(store, stored(store), signer)))


def test_another_key_signs_nothing(site):
    store, _ = site

    assert ["checkpoint 0 was not signed with this key; those before it are sound"] == list(
        faults(store, stored(store), PrivateKey(pem()))
    )


def test_there_is_no_checkpoint_without_anything_new(site, signer):
    store, file = site

    assert not Notary(store, signer, file, lambda: 1).sign()
    assert 2 == len(published(file))


def test_what_went_on_since_is_named(site, signer):
    store, _ = site

    assert ["second", "second/calls"] == open_ends(store, stored(store)[:1])


class Sealed:
    """A key that cannot be had now."""

    def sign(self, content: bytes) -> str:
        raise DataError("Vault is sealed")

    def verify(self, content: bytes, signature: str) -> bool:
        return False


def test_a_notary_that_cannot_sign_tries_again_sooner_and_says_so(tmp_path):
    lived(tmp_path, bars=20).close()
    store = open_store(tmp_path / "state" / "journal.sqlite")
    waits: list[float] = []
    notary = Notary(store, Sealed(), None, lambda: 1)

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) > 2

    notary.run(wait, 60.0)

    assert ([15.0, 15.0, 15.0], 4, 0) == (waits, notary.failures, notary.count)
    assert 0 == notary.beat
    with store.connect() as connection:
        assert [] == connection.execute(checkpoints.select()).all()
    store.dispose()


@pytest.mark.parametrize(
    "text", ["", "garbage", "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_key_is_refused_without_being_repeated(text):
    with pytest.raises(ConfigurationError, match="no public key of Ed25519"):
        PublicKey(text.encode())
    if text:
        with pytest.raises(ConfigurationError, match="no private key of Ed25519") as refused:
            PrivateKey(Secret(text))
        assert "garbage" not in str(refused.value)


def test_a_file_that_holds_no_checkpoints_is_refused(tmp_path):
    (tmp_path / "wrong").write_text("{}\n")

    with pytest.raises(DataError, match="publish"):
        published(tmp_path / "wrong")


def test_a_line_of_the_file_is_what_was_signed(site, signer):
    _, file = site

    [first, _] = published(file)
    assert isinstance(first, Signed)
    assert signer.verify(first.payload.encode(), first.signature)
