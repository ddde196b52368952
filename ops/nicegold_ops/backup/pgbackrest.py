"""pgBackRest, the program: what it is asked, and what it says of the repository."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import msgspec

from nicegold_ops.backup import BackupFailed
from nicegold_ops.backup.owner import Owner
from nicegold_ops.errors import ConfigurationError, DataError

#: What our backups and our segments are called in a repository.
STANZA = "nicegold"
_PROGRAM = "pgbackrest"
_SECOND = 1_000_000_000
#: The annotation of a backup that says how large the server's WAL segments are, and how large most are.
SEGMENT_BYTES = "wal-segment-bytes"
USUAL_SEGMENT = 16 << 20
_ERROR = re.compile(r"^(?:\S+ \S+ P\d\d )? *ERROR: \[(\d+)\]: (.*)", re.DOTALL | re.MULTILINE)
_UNSOUND = re.compile(r"INFO: ((?:invalid|file missing) .*)")
#: Of an S3 server's answer, what a person needs to know.
_REASON = re.compile(r"<Message>(.*?)</Message>", re.DOTALL)
#: Seconds that the repository may take to answer, four times; pgBackRest itself would wait a minute each.
_PATIENCE = 5
#: pgBackRest's numbers for a stanza that can be made: no folder, no backup yet, no files.
_NEW = (1, 2, 3)
#: It takes bytes that it cannot decrypt for either.
_UNDECIPHERED = ("CryptoError", "FormatError")


class Failed(BackupFailed):
    """pgBackRest refused; *code* is its number for the reason."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Backed(msgspec.Struct, frozen=True):
    """A backup in a repository: its times (ns UTC), its bytes, and those that were new and are *stored*.

    *first* and *last* are the WAL segments without which it is no state of the database. *damaged*: the
    server's own files were, when they were read.
    """

    label: str
    kind: str
    began: int
    ended: int
    first: str
    last: str
    bytes: int
    stored: int
    damaged: bool
    segment_bytes: int


class PgBackRest(msgspec.Struct, frozen=True):
    """The program with the file *settings*, run as *owner*."""

    settings: Path
    owner: Owner

    def run(self, command: str, *options: str) -> str:
        """What it prints. Raises Failed with what it says, ConfigurationError when it is not here."""
        typed = [_PROGRAM, f"--config={self.settings}", f"--stanza={STANZA}", command, *options]
        try:
            done = subprocess.run(  # noqa: S603  # a program, and options that were looked at
                typed, capture_output=True, text=True, errors="replace", check=False, **self.owner.becoming()
            )
        except FileNotFoundError:
            raise ConfigurationError(
                "pgBackRest is not installed; on Debian: apt-get install pgbackrest"
            ) from None
        if done.returncode:
            raise _failed(command, done.returncode, done.stderr or done.stdout)
        return str(done.stdout)

    def backups(self) -> list[Backed]:
        """Those in the repository, oldest first.

        Raises DataError when it cannot be deciphered, BackupFailed when it cannot be reached.
        """
        said = self.run("info", "--output=json", f"--io-timeout={_PATIENCE}")
        # Not strict: it quotes what it could not decipher as it is.
        [stanza] = msgspec.convert(json.loads(said, strict=False), list[_Stanza])
        _refuse_unreadable([each.status for each in stanza.repo] or [stanza.status])
        return [_backed(each) for each in stanza.backup]

    def unsound(self) -> list[str]:
        """What in the repository is not what was written there; every byte of it is read."""
        said = self.run("verify", "--output=text", "--verbose", "--log-level-console=info")
        found = _UNSOUND.findall(said)
        if not found and "status: ok" not in said:
            found = [" ".join(said.partition("status: ")[2].split()) or "it cannot be verified"]
        return found


def _failed(command: str, status: int, said: str) -> Failed:
    found = _ERROR.search(said)
    code = int(found[1]) if found else status
    return Failed(f"pgbackrest {command}: {_in_short(found[2] if found else said)}", code)


def _in_short(said: str) -> str:
    """The reason and the hints, each once; of the request that failed, only why."""
    lines = said.partition("*** Path/Query")[0].splitlines() + _REASON.findall(said)
    return "; ".join(dict.fromkeys(" ".join(line.split()) for line in lines if line.strip()))


def _refuse_unreadable(found: list[_Status]) -> None:
    for status in found:
        if any(name in status.message for name in _UNDECIPHERED):
            raise DataError(
                "the repository cannot be deciphered with this passphrase; give the one that it was begun "
                "with, or put it where pgBackRest's configuration has another"
            )
        if status.code not in (0, *_NEW):
            raise BackupFailed(f"the repository cannot be read: {_in_short(status.message)}")


def _backed(found: _Backup) -> Backed:
    return Backed(
        label=found.label,
        kind=found.type,
        began=found.timestamp.start * _SECOND,
        ended=found.timestamp.stop * _SECOND,
        first=found.archive.start or "",
        last=found.archive.stop or "",
        bytes=found.info.size,
        stored=found.info.repository.delta,
        damaged=bool(found.error),
        segment_bytes=int(found.annotation.get(SEGMENT_BYTES, USUAL_SEGMENT)),
    )


# What `info` answers, as far as it is read.


class _Status(msgspec.Struct):
    code: int
    message: str


class _Repository(msgspec.Struct):
    status: _Status


class _Times(msgspec.Struct):
    start: int
    stop: int


class _Segments(msgspec.Struct):
    start: str | None = None
    stop: str | None = None


class _Stored(msgspec.Struct):
    delta: int


class _Bytes(msgspec.Struct):
    size: int
    repository: _Stored


class _Backup(msgspec.Struct):
    label: str
    type: str
    timestamp: _Times
    archive: _Segments
    info: _Bytes
    error: bool | None = None
    annotation: dict[str, str] = {}


class _Stanza(msgspec.Struct):
    status: _Status
    backup: list[_Backup] = []
    repo: list[_Repository] = []
