"""Who acts on trading: known by an id, and called by a name that can be made unreadable for good."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Protocol

import msgspec
import sqlalchemy as sa

from nicegold_ops.actions import CHAIN, Action, Sealed, action_of, read, record
from nicegold_ops.audit.keys import mac_keys_of
from nicegold_ops.audit.settings import AuditSettings
from nicegold_ops.audit.transit import transit_of
from nicegold_ops.chain import MacKey
from nicegold_ops.config import Settings
from nicegold_ops.envelope import new_key, seal
from nicegold_ops.errors import DataError
from nicegold_ops.secrets import Secrets
from nicegold_ops.vault.api import VaultFailed
from nicegold_ops.vault.transit import Transit

#: Where the keys of names are in a state folder, where they are not in Vault.
FOLDER = "people"
_ID_BYTES = 6


class Erased(DataError):
    """The key of a name is not there any more, so nobody can read it."""


class Keyring(Protocol):
    """One key for each person."""

    def seal(self, person: str, name: str) -> Sealed:
        """*name* under a key that is made for *person*."""

    def open(self, person: str, sealed: Sealed) -> str:
        """The name in *sealed*. Raises Erased, or DataError where it is not that person's."""

    def destroy(self, person: str) -> None:
        """Destroy the key of *person*, if it is there."""


class InVault:
    """Keys that stay in Vault, below *prefix*: destroyed there, no copy of ours opens any more."""

    def __init__(self, transit: Transit, prefix: str) -> None:
        self._transit, self._prefix = transit, prefix

    def seal(self, person: str, name: str) -> Sealed:
        key = self._prefix + person
        self._transit.make(key)
        return Sealed(key, self._transit.seal(key, name.encode(), person.encode()))

    def open(self, person: str, sealed: Sealed) -> str:
        try:
            return self._transit.open(sealed.key, sealed.envelope, person.encode()).decode()
        except VaultFailed:
            if self._transit.has(sealed.key):
                raise
            raise Erased(f"the name of {person} is sealed with {sealed.key}, which is not in Vault") from None

    def destroy(self, person: str) -> None:
        self._transit.destroy(self._prefix + person)


class InFolder:
    """Keys in files of *folder*, where there is no Vault. Who copies the folder keeps what was erased."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def seal(self, person: str, name: str) -> Sealed:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key, path = new_key(), self._path(person)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        return Sealed(f"file:{path.name}", seal(key, name.encode(), person.encode()))

    def open(self, person: str, sealed: Sealed) -> str:
        try:
            key = self._path(person).read_bytes()
        except FileNotFoundError:
            raise Erased(f"the name of {person} is sealed with {self._path(person)}, which is gone") from None
        try:
            return sealed.envelope.unseal(key, person.encode()).decode()
        except ValueError:
            raise DataError(f"the name of {person} was changed, or is somebody else's") from None

    def destroy(self, person: str) -> None:
        self._path(person).unlink(missing_ok=True)

    def _path(self, person: str) -> Path:
        return self._folder / f"{person}.key"


class Person(msgspec.Struct, frozen=True):
    """Somebody who did so many *actions*, the first at *since* (ns UTC). *name* is None once *erased*."""

    id: str
    name: str | None
    since: int
    actions: int
    erased: int = 0


class People:
    """Everybody who is on record in *store*, and where what they do is put there.

    *draw* makes ids that nobody has, *wall* tells ns UTC; *key* is that of the records' codes.
    """

    def __init__(
        self,
        store: sa.Engine,
        keyring: Keyring,
        *,
        draw: Callable[[], str],
        wall: Callable[[], int],
        key: MacKey | None = None,
    ) -> None:
        self._store, self._keyring, self._key = store, keyring, key
        self._draw, self._wall = draw, wall

    def did(
        self, name: str, action: str, *, reason: str = "", run: str = "", before: str = "", after: str = ""
    ) -> str:
        """Put on record what the person of that *name* does now, see `Action`; answers their id."""
        person = self.id_of(name)
        self._record(
            Action(
                time=self._wall(),
                action=action,
                subject=person,
                reason=reason,
                run=run,
                before=before,
                after=after,
            )
        )
        return person

    def id_of(self, name: str) -> str:
        """The id of the person of that *name*, who is put on record if nobody has it."""
        return self._id_among(self.known(), name)

    def _id_among(self, known: list[Person], name: str) -> str:
        found = next((each.id for each in known if each.name == name), None)
        if found is not None:
            return found
        person = f"person-{self._draw()}"
        sealed = self._keyring.seal(person, name)
        self._record(Action(time=self._wall(), action=_KNOWN, subject=person, sealed=sealed))
        return person

    def known(self) -> list[Person]:
        """Everybody, in the order in which they came."""
        told = [action_of(block) for block in read(self._store)]
        counts = Counter(each.subject for each in told if each.action != _KNOWN)
        erased = {each.about: each.time for each in told if each.action == _ERASED}
        return [
            Person(
                each.subject,
                self._name(each.subject, each.sealed),
                each.time,
                counts[each.subject],
                erased.get(each.subject, 0),
            )
            for each in told
            if each.sealed is not None
        ]

    def erase(self, who: str, by: str, why: str) -> str:
        """Make the name of *who*, a name or an id, unreadable for good; answers the id.

        Raises DataError where nobody is called so, or it is on record already.
        """
        known = self.known()
        person = next((each for each in known if who in (each.id, each.name)), None)
        if person is None:
            raise DataError(f'there is no "{who}" on record; `nicegold audit people` shows who is')
        if person.erased:
            raise DataError(f"the name of {person.id} was erased already")
        # Somebody may erase their own name.
        actor = person.id if by in (person.id, person.name) else self._id_among(known, by)
        # What is on record is true: who is stopped between the two does it again, by the id.
        self._keyring.destroy(person.id)
        self._record(Action(time=self._wall(), action=_ERASED, subject=actor, about=person.id, reason=why))
        return person.id

    def _name(self, person: str, sealed: Sealed) -> str | None:
        try:
            return self._keyring.open(person, sealed)
        except Erased:
            return None

    def _record(self, action: Action) -> None:
        record(self._store, action, self._key)


def people_of(
    settings: Settings, secrets: Secrets, store: sa.Engine, wall: Callable[[], int] = time.time_ns
) -> People:
    """Everybody in *store*, as *settings* say how their names are sealed and their actions coded."""
    audit = settings.audit
    keys = mac_keys_of(audit, secrets)
    return People(
        store,
        _keyring(settings.run.state, audit, secrets),
        draw=partial(token_hex, _ID_BYTES),
        wall=wall,
        key=None if keys is None else keys.newest(CHAIN),
    )


def _keyring(state: Path, audit: AuditSettings | None, secrets: Secrets) -> Keyring:
    if audit is None or audit.transit_people is None:
        return InFolder(state / FOLDER)
    return InVault(transit_of(audit, secrets, "transit_people"), audit.transit_people)


_KNOWN = "subject.registered"
_ERASED = "subject.erased"
