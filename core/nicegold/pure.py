"""Loads all of core from its Python, also what is compiled, where NICEGOLD_PURE=1 asks for it.

What is compiled is compiled of the same source (hatch_build.py says what and how). A debugger can look
into the Python only, and tests compare the two.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

#: Whether Python was asked for.
ASKED = os.environ.get("NICEGOLD_PURE") == "1"


def is_compiled(module: ModuleType) -> bool:
    """Whether *module* runs compiled."""
    return str(module.__file__).endswith(tuple(EXTENSION_SUFFIXES))


class _SourceFirst(MetaPathFinder):
    """Finds core's modules as Python would if nothing were compiled."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, module = name.rpartition(".")
        if package != __package__ or path is None:
            return None
        source = Path(next(iter(path))) / f"{module}.py"
        return spec_from_file_location(name, source) if source.exists() else None


if ASKED:
    sys.meta_path.insert(0, _SourceFirst())
