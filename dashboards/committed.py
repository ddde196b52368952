"""Files that a script writes and that are committed: written again, or compared."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def main(files: Mapping[Path, str], arguments: Sequence[str]) -> int:
    """Write *files*, or with `--check` say which differ."""
    if "--check" not in arguments:
        for path, text in files.items():
            path.write_text(text)
        return 0
    differing = [path.name for path, text in files.items() if not path.is_file() or path.read_text() != text]
    if differing:
        print(f"dashboards: {', '.join(differing)} differ from boards.py; run 'make docs'", file=sys.stderr)
    return 1 if differing else 0
