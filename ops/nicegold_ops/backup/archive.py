"""The archive of a PostgreSQL server's WAL: which segments it holds, and which are missing between them."""

from __future__ import annotations

import re

import msgspec

from nicegold_ops.backup.pgbackrest import STANZA, USUAL_SEGMENT, Backed, PgBackRest

#: A segment in the archive: of which database (it is numbered anew by an upgrade), its name, its digest.
_FILE = re.compile(r"^\S+-(\d+)/[0-9A-F]{16}/([0-9A-F]{24})-[0-9a-f]{40}", re.MULTILINE)
_TIMELINE = 8
_SHOWN = 3


class Archive(msgspec.Struct, frozen=True):
    """The *names* of the segments, each of so many bytes of WAL."""

    names: list[str]
    segment_bytes: int

    def lacking(self, first: str) -> list[str]:
        """What is missing from the segment *first* on, up to the last one."""
        held = {self._number(name): name[:_TIMELINE] for name in self.names}
        missing, timeline = [], first[:_TIMELINE]
        for number in range(self._number(first), max(held, default=-1) + 1):
            timeline = held.get(number, timeline)
            if number not in held:
                missing.append(self._name(timeline, number))
        return missing

    def unread(self, timeline: int, end: int) -> list[str]:
        """What recovery of *timeline*, which ended at the position *end*, did not read though it should have.

        That is what is missing before the last segment of the timeline, and where nothing is, the one that
        the archive holds and recovery did not get.
        """
        own = f"{timeline:08X}"
        ended, last = end // self.segment_bytes, self._last_of(own)
        if ended >= last:
            return []
        stopped = self._name(own, ended)
        missing = [name for name in self.lacking(stopped) if self._number(name) < last]
        return missing or [stopped]

    def _last_of(self, timeline: str) -> int:
        return max((self._number(name) for name in self.names if name.startswith(timeline)), default=-1)

    def _number(self, name: str) -> int:
        return int(name[8:16], 16) * self._in_a_file() + int(name[16:], 16)

    def _name(self, timeline: str, number: int) -> str:
        file, segment = divmod(number, self._in_a_file())
        return f"{timeline}{file:08X}{segment:08X}"

    def _in_a_file(self) -> int:
        """How many segments have the same middle of their names: PostgreSQL counts in parts of 4 GB."""
        return (1 << 32) // self.segment_bytes


def archived(program: PgBackRest, backups: list[Backed]) -> Archive:
    """What the archive of the last database in the repository holds; the last of *backups* was of that."""
    listed = program.run("repo-ls", "--recurse", f"archive/{STANZA}")
    found = _FILE.findall(listed)
    last = max((int(database) for database, _ in found), default=0)
    names = sorted(name for database, name in found if int(database) == last)
    return Archive(names, backups[-1].segment_bytes if backups else USUAL_SEGMENT)


def shortened(names: list[str]) -> str:
    """*names* for a person, who needs to see the first of many."""
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else shown
