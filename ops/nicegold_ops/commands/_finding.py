"""What the doctor has looked at."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, how it is, and the way out if it is not well."""

    about: str
    status: Status
    says: str
    way_out: str = ""
