"""Whose the files of a PostgreSQL server are: what reads and writes them runs as him, and not as root."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import msgspec

from nicegold_ops.errors import ConfigurationError


class Owner(msgspec.Struct, frozen=True):
    """A user of this machine that this process is, or can become."""

    name: str
    user: int
    group: int

    def becoming(self) -> dict[str, Any]:
        """What makes a program of `subprocess` his."""
        if self.user == os.geteuid():
            return {"cwd": "/"}
        groups = os.getgrouplist(self.name, self.group)
        # He may not be allowed into the folder that this was typed in.
        return {"cwd": "/", "user": self.user, "group": self.group, "extra_groups": groups}

    def give(self, path: Path) -> None:
        """Make *path*, which this process made, his."""
        if self.user != os.geteuid():
            os.chown(path, self.user, self.group)


def owner_of(folder: Path) -> Owner:
    """Whose *folder* is. Raises ConfigurationError when this process is neither his nor root's."""
    user = folder.stat().st_uid
    if user == 0:
        raise ConfigurationError(
            f"{folder} belongs to root, as whom PostgreSQL does not run; chown postgres: {folder}"
        )
    try:
        account = pwd.getpwuid(user)
    except KeyError:
        raise ConfigurationError(
            f"{folder} belongs to user {user}, who has no name on this machine; chown postgres: {folder}"
        ) from None
    if os.geteuid() not in (0, user):
        raise ConfigurationError(
            f"{folder} belongs to {account.pw_name}; run this as {account.pw_name} or root"
        )
    return Owner(account.pw_name, user, account.pw_gid)
