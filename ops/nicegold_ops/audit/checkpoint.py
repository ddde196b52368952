"""Checkpoints: how far each chain of the journal had come at a time, signed, and chained to each other.

A hash chain alone does not show that its end was cut off, that all of it was written anew or that it is gone:
a checkpoint does, once it is where whoever did that cannot write.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import sqlalchemy as sa

from nicegold_ops.audit.chains import chain_of, chains, first_of
from nicegold_ops.audit.signing import Signer, Verifier
from nicegold_ops.errors import DataError, NicegoldError
from nicegold_ops.store.place import readable, written
from nicegold_ops.store.tables import checkpoints
from nicegold_ops.telemetry.logs import logger
from nicegold_ops.telemetry.outgoing import Relay

_FIRST = "0" * 64
_log = logger("notary")
_encode = msgspec.json.Encoder().encode


class Chain(msgspec.Struct, frozen=True):
    """A chain up to the block of the *number*, whose digest (hexadecimal) stands for all before it."""

    writer: str
    number: int
    digest: str


class Checkpoint(msgspec.Struct, frozen=True):
    """The *chains* that had grown at *time* (ns UTC) since the one before, whose digest is *previous*."""

    number: int
    time: int
    previous: str
    chains: list[Chain]


class Signed(msgspec.Struct, frozen=True):
    """A checkpoint as it was signed, byte for byte."""

    payload: str
    signature: str

    @property
    def digest(self) -> str:
        """What the next one names."""
        return hashlib.sha256(self.payload.encode()).hexdigest()


_decoder = msgspec.json.Decoder(Checkpoint)
_lines: msgspec.json.Decoder[Signed] = msgspec.json.Decoder(Signed)


class Notary:
    """Signs what is new in *store*, and appends it to the file *publish*. *wall* tells ns UTC.

    *outgoing* is told of each checkpoint for which another is asked.
    """

    def __init__(
        self,
        store: sa.Engine,
        signer: Signer,
        publish: Path | None,
        wall: Callable[[], int],
        outgoing: Relay | None = None,
    ) -> None:
        self._store, self._signer, self._publish, self._wall = store, signer, publish, wall
        self._outgoing = outgoing or Relay()
        self._known: dict[str, int] = {}
        self._number, self._previous = 0, _FIRST
        #: When the newest checkpoint was made, ns UTC; 0 before the first.
        self.newest = 0
        #: When a look at what is new last went well, ns UTC; 0 before the first.
        self.beat = 0
        #: Seconds between two looks while `run` goes on.
        self.every = 0.0
        #: How often it could not.
        self.failures = 0
        for signed in stored(store):
            self._take(signed)

    def run(self, wait: Callable[[float], bool], every: float) -> None:
        """Sign each *every* seconds until *wait*, which takes them, says to stop; then once more."""
        self.every = every
        while not wait(every if self._attempt() else every / 4):
            pass
        self._attempt()

    def sign(self) -> bool:
        """Make a checkpoint; answers whether anything was new. Raises what signing and writing raise."""
        chains = [each for each in ends(self._store) if self._known.get(each.writer, -1) < each.number]
        if not chains:
            return False
        made = _encode(Checkpoint(self._number, self._wall(), self._previous, chains))
        signed = Signed(made.decode(), self._signer.sign(made))
        with written(self._store) as connection:
            connection.execute(
                checkpoints.insert(), {"number": self._number, **msgspec.structs.asdict(signed)}
            )
        if self._publish is not None:
            _append(self._publish, _encode(signed) + b"\n")
        self._take(signed)
        return True

    @property
    def count(self) -> int:
        """How many checkpoints there are."""
        return self._number

    def _attempt(self) -> bool:
        """Sign; what keeps it from that, such as a sealed Vault, passes, and no chain is lost of it."""
        try:
            with self._outgoing.work("audit.checkpoint"):
                self.sign()
            self.beat = self._wall()
        except (NicegoldError, OSError) as error:
            self.failures += 1
            _log.error("no checkpoint was signed", **{"event.reason": str(error)})
            return False
        return True

    def _take(self, signed: Signed) -> None:
        checkpoint = _read(signed)
        self._known |= {each.writer: each.number for each in checkpoint.chains}
        self._number, self._previous = checkpoint.number + 1, signed.digest
        self.newest = checkpoint.time


def ends(store: sa.Engine) -> Iterator[Chain]:
    """Where each chain ends now."""
    places = list(chains(store))
    with readable(store), store.connect() as connection:
        for place in places:
            newest = place.find("number", "digest").order_by(place.table.c.number.desc()).limit(1)
            last = connection.execute(newest).first()
            if last is not None:
                yield Chain(place.writer, last.number, bytes(last.digest).hex())


def open_ends(store: sa.Engine, signed: Iterable[Signed]) -> list[str]:
    """The writers whose chains go on after the last of the *signed* checkpoints that tells of them."""
    known = {each.writer: each.number for one in signed for each in _read(one).chains}
    return [each.writer for each in ends(store) if known.get(each.writer, -1) < each.number]


def stored(store: sa.Engine) -> list[Signed]:
    """The checkpoints that *store* has, oldest first."""
    query = sa.select(checkpoints.c.payload, checkpoints.c.signature).order_by(checkpoints.c.number)
    with readable(store), store.connect() as connection:
        return [Signed(*row) for row in connection.execute(query)]


def published(path: Path) -> list[Signed]:
    """The checkpoints in the file *path*, oldest first. Raises DataError where it is no such file."""
    try:
        return _lines.decode_lines(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}; it should hold what `publish` of [audit] names") from None


def faults(store: sa.Engine, signed: Iterable[Signed], verifier: Verifier) -> Iterator[str]:
    """What in *store* is not as the *signed* checkpoints say, and which of those are not to be believed."""
    previous = _FIRST
    for number, each in enumerate(signed):
        if not verifier.verify(each.payload.encode(), each.signature):
            yield f"checkpoint {number} was not signed with this key; those before it are sound"
            return
        checkpoint = _read(each)
        if (checkpoint.number, checkpoint.previous) != (number, previous):
            yield f"checkpoint {number} is missing; those before it are sound"
            return
        previous = each.digest
        yield from _differences(store, checkpoint)


def _differences(store: sa.Engine, checkpoint: Checkpoint) -> Iterator[str]:
    for chain in checkpoint.chains:
        said = f"{chain.writer} is not as checkpoint {checkpoint.number} says"
        digest = _digest_at(store, chain)
        if digest == chain.digest:
            continue
        if digest is not None:
            yield f"{said}: it was written anew, up to block {chain.number} or further"
        elif _has_any(store, chain.writer):
            yield f"{said}: block {chain.number} is not there, its tail was cut off"
        else:
            yield f"{said}: all of it is gone"


def _digest_at(store: sa.Engine, chain: Chain) -> str | None:
    found = first_of(store, chain_of(chain.writer).find("digest", number=chain.number))
    return None if found is None else bytes(found.digest).hex()


def _has_any(store: sa.Engine, writer: str) -> bool:
    return first_of(store, chain_of(writer).find("number")) is not None


def _read(signed: Signed) -> Checkpoint:
    try:
        return _decoder.decode(signed.payload)
    except ValueError as error:
        raise DataError(f"a checkpoint cannot be read: {error}") from None


def _append(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
