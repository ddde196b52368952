"""Who did what is on record; what they are called can be made unreadable, and the record stays sound."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Thread

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from nicegold_ops.actions import Action, action_of, read, record
from nicegold_ops.audit.proof import proofs
from nicegold_ops.audit.trail import deeds
from nicegold_ops.chain import MacKey
from nicegold_ops.errors import DataError
from nicegold_ops.people import InFolder, Keyring, People
from nicegold_ops.store.place import open_store
from nicegold_ops.store.tables import actions
from tests.services.postgresql import postgresql

ANA = "Ana Suwannarat"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_store(tmp_path / "journal.sqlite")
    yield engine
    engine.dispose()


@pytest.fixture
def keyring(tmp_path: Path) -> InFolder:
    return InFolder(tmp_path / "people")


@pytest.fixture
def people(store: sa.Engine, keyring: Keyring) -> People:
    return made(store, keyring)


def made(store: sa.Engine, keyring: Keyring, first: int = 1) -> People:
    ids, times = count(first), count(first)
    return People(store, keyring, draw=lambda: f"{next(ids)}", wall=lambda: next(times))


def test_a_person_is_put_on_record_once_and_their_deeds_under_their_id(people):
    assert "person-1" == people.did(ANA, "approval.granted", reason="reviewed")
    assert "person-2" == people.did("Bo", "halt.lifted", run="r")
    assert "person-1" == people.did(ANA, "venue.adopted")

    known = people.known()

    assert [("person-1", ANA, 2), ("person-2", "Bo", 1)] == [
        (each.id, each.name, each.actions) for each in known
    ]


def test_no_name_is_in_the_store_or_in_a_document(people, store, tmp_path):
    people.did(ANA, "approval.granted", reason="reviewed")
    documents = list(deeds(store))
    store.dispose()

    raw = b"".join(each.read_bytes() for each in tmp_path.iterdir() if each.is_file())
    assert ANA.encode() not in raw
    assert ANA not in str(documents)
    assert ["subject.registered", "approval.granted"] == [each["event.action"] for each in documents]
    assert {"person-1"} == {each["user.id"] for each in documents}


def test_an_erased_name_is_gone_for_good_and_the_chain_is_as_sound_as_before(people, store, keyring):
    people.did(ANA, "approval.granted")
    [before] = people.known()

    assert before.id == people.erase(ANA, by="Bo", why="asked for it on the 3rd")

    ana, bo = people.known()
    assert (None, 1, "Bo") == (ana.name, ana.actions, bo.name)
    assert ana.erased > ana.since
    assert ["", ""] == [each.fault for each in proofs(store)] + [""]
    told = [action_of(block) for block in read(store)]
    assert (bo.id, ana.id, "asked for it on the 3rd") == (told[-1].subject, told[-1].about, told[-1].reason)
    assert not (keyring._folder / f"{ana.id}.key").exists()


def test_a_copy_of_the_store_does_not_bring_an_erased_name_back(people, store, keyring, tmp_path):
    people.did(ANA, "approval.granted")
    with store.connect() as connection:
        connection.exec_driver_sql(f"VACUUM INTO '{tmp_path / 'copy.sqlite'}'")
    people.erase(ANA, by=ANA, why="asked for it")

    copy = open_store(tmp_path / "copy.sqlite")

    assert [None] == [each.name for each in made(copy, keyring).known()]
    copy.dispose()


def test_who_erases_their_own_name_acts_as_who_they_were(people, store):
    people.did(ANA, "approval.granted")

    people.erase(ANA, by=ANA, why="leaves us")

    [ana] = people.known()
    assert (None, 2) == (ana.name, ana.actions)


def test_an_erased_person_who_comes_back_is_another(people):
    first = people.did(ANA, "approval.granted")
    people.erase(first, by="Bo", why="asked for it")

    assert first != people.did(ANA, "approval.granted")


@pytest.mark.parametrize("who", ["person-1", "nobody"])
def test_who_is_erased_already_or_unknown_is_refused(people, who):
    people.did(ANA, "approval.granted")
    people.erase("person-1", by="Bo", why="asked for it")

    with pytest.raises(DataError, match=r"was erased already|audit people` shows who is"):
        people.erase(who, by="Bo", why="again")


def test_an_erasure_that_was_cut_short_is_done_again_by_the_id(people, keyring):
    person = people.did(ANA, "approval.granted")
    keyring.destroy(person)
    assert [(None, 0)] == [(each.name, each.erased) for each in people.known()]

    people.erase(person, by="Bo", why="asked for it")

    assert people.known()[0].erased


def test_a_name_that_was_put_in_the_place_of_another_does_not_open(people, store):
    people.did(ANA, "approval.granted")
    people.did("Bo", "approval.granted")
    told = [action_of(block) for block in read(store)]
    sealed = [each.sealed for each in told if each.sealed is not None]
    record(store, Action(time=9, action="subject.registered", subject="person-1", sealed=sealed[1]))

    with pytest.raises(DataError, match="the name of person-1 was changed, or is somebody else's"):
        people.known()


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("UPDATE actions SET payload = CAST(replace(CAST(payload AS TEXT), 'reviewed', 'x') AS BLOB)", "2"),
        ("DELETE FROM actions WHERE number = 0", "0"),
    ],
)
def test_what_was_changed_or_taken_away_is_found(people, store, deed, said):
    people.did(ANA, "approval.granted", reason="hurry")
    people.did(ANA, "approval.granted", reason="reviewed")
    with store.begin() as connection:
        connection.exec_driver_sql(deed)

    [found] = proofs(store)

    assert f"action {said} is missing or was changed; those before it are sound" in found.fault


def test_several_who_write_at_once_make_one_chain(store):
    def write(number: int) -> None:
        for each in range(20):
            record(store, Action(time=each, action="approval.granted", subject=f"person-{number}"))

    threads = [Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert list(range(80)) == [each.number for each in read(store)]


def test_a_chain_of_deeds_that_was_written_anew_is_found_by_its_codes(store, keyring):
    class Keys:
        def newest(self, writer: str) -> MacKey:
            return MacKey("secret:1", b"k" * 32)

        def named(self, name: str, writer: str) -> MacKey:
            return self.newest(writer)

    key = Keys().newest("actions")
    People(store, keyring, draw=lambda: "1", wall=lambda: 1, key=key).did(ANA, "approval.granted")
    assert [(2, "")] == [(each.codes, each.fault) for each in proofs(store, keys=Keys())]
    forged = [replace(action_of(block), subject="person-9") for block in read(store)]
    with store.begin() as connection:
        connection.execute(actions.delete())
    for each in forged:
        record(store, each, MacKey("secret:1", b"guessed"))

    [found] = proofs(store, keys=Keys())

    assert "block 0 of actions was not written by who has the key secret:1" == found.fault


@pytest.mark.slow
def test_so_do_several_in_postgresql():
    with postgresql() as server:
        store = open_store(server.url(server.new_database()))

        test_several_who_write_at_once_make_one_chain(store)

        store.dispose()
