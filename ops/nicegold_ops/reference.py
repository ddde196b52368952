"""Where a secret is: what nicegold.toml, the journal and reports have in its place."""

from __future__ import annotations

import os
import re
from pathlib import Path

_FORMS = {
    "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    "file": re.compile(r"[^\0\n]+"),
    # The first part is where the engine is mounted. What is . or .. would become another path on its way.
    "vault": re.compile(r"[^/#\s]+(?:/(?!\.{1,2}(?:[/#]|$))[^/#\s]+)+#[^#\s]+"),
}
HOW = '"vault:MOUNT/PATH#FIELD", "env:NAME" or "file:PATH"'


class Reference(str):
    """``vault:mount/path#field``, ``env:NAME`` or ``file:path``, which are no secrets themselves."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> Reference:
        """Raises ValueError that does not repeat *text*, as that may be the secret itself."""
        scheme, _, where = text.partition(":") if isinstance(text, str) else ("", "", "")
        form = _FORMS.get(scheme)
        if form is None:
            raise ValueError(f"must say where the secret is, and a secret itself is not taken: {HOW}")
        if not form.fullmatch(where):
            raise ValueError(f"begins as one that says where a secret is and does not go on so: {HOW}")
        return cls(text)

    @property
    def scheme(self) -> str:
        """vault, env or file."""
        return self.partition(":")[0]

    @property
    def where(self) -> str:
        """What comes after the scheme."""
        return self.partition(":")[2]

    def seen_from(self, folder: Path) -> Reference:
        """The same with the path of a file made absolute; ``~`` is the home directory."""
        if self.scheme != "file":
            return self
        return Reference(f"file:{os.path.normpath(folder / os.path.expanduser(self.where))}")
