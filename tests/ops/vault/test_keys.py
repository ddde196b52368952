"""Keys of codes and of names that never leave Vault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from nicegold_ops.audit.keys import InVault
from nicegold_ops.errors import DataError
from nicegold_ops.people import InVault as PeopleInVault
from nicegold_ops.store.place import open_store
from nicegold_ops.vault.api import Unavailable, VaultFailed
from nicegold_ops.vault.transit import Transit
from nicegold_ops.vault.vault import Vault
from tests.ops.test_people import ANA, made
from tests.services.openbao import OpenBao

pytestmark = pytest.mark.slow

#: What a policy must let it do.
PATHS = {
    "transit/hmac/codes": "update",
    "transit/keys/nicegold-person-*": "create, read, update, delete",
    "transit/datakey/plaintext/nicegold-person-*": "update",
    "transit/decrypt/nicegold-person-*": "update",
}


@pytest.fixture
def transit(shared_bao: OpenBao, connect: Callable[..., Vault]) -> Transit:
    shared_bao.with_transit()
    shared_bao.write("transit/keys/codes", type="hmac", key_size=32)
    shared_bao.allow("registrar", **PATHS)
    return Transit(connect(token_policies="registrar"))


@pytest.fixture
def people_keys(transit: Transit) -> PeopleInVault:
    return PeopleInVault(transit, "nicegold-")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_store(tmp_path / "journal.sqlite")
    yield engine
    engine.dispose()


def test_a_key_in_vault_makes_the_same_key_again_also_when_it_was_rotated(transit, shared_bao):
    before = InVault(transit, "codes").newest("run")
    shared_bao.write("transit/keys/codes/rotate")
    keys = InVault(transit, "codes")

    after, again = keys.newest("run"), keys.named(before.name, "run")

    assert ("transit:codes:v1", "transit:codes:v2") == (before.name, after.name)
    assert again.fits("run", 3, b"digest", before.mac("run", 3, b"digest"))
    assert not after.fits("run", 3, b"digest", before.mac("run", 3, b"digest"))


def test_another_key_in_vault_is_named(transit):
    with pytest.raises(DataError, match=r"with the key transit:other:v1, and .audit. names transit:codes"):
        InVault(transit, "codes").named("transit:other:v1", "run")
    with pytest.raises(VaultFailed, match="transit/hmac/none"):
        InVault(transit, "none").newest("run")


def test_keys_people_keys_are_made_used_and_destroyed_there(store, people_keys):
    people = made(store, people_keys, first=700)
    person = people.did(ANA, "approval.granted")
    assert [ANA] == [each.name for each in people.known()]

    people.erase(ANA, by="Bo", why="asked for it")
    people.erase(people.known()[1].id, by="Cy", why="asked for it too")

    assert [None, None, "Cy"] == [each.name for each in people.known()]
    assert not people_keys._transit.has(f"nicegold-{person}")


def test_a_vault_that_does_not_answer_has_erased_nobody(store, people_keys, bao):
    people = made(store, people_keys, first=800)
    people.did(ANA, "approval.granted")
    bao.seal()

    with pytest.raises(Unavailable):
        people.known()
