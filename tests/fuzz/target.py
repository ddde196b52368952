"""One campaign against one reader: atheris changes the seeds for as long as it may, and steers by coverage.

`python -m tests.fuzz.target READER [INPUT | FLAGS OF LIBFUZZER]`. With an INPUT, reads that alone.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

READERS = ("csv", "ticks", "parquet", "dukascopy", "conf", "journal", "flight")
#: Those whose input has lines, and how many bytes are before these.
_LINES = {"csv": 2, "ticks": 2, "conf": 0}
_OURS = ["nicegold", "nicegold_ops", "nicegold_plugins"]


def main() -> None:
    reader, *rest = sys.argv[1:]
    with TemporaryDirectory() as folder:
        if rest and Path(rest[0]).is_file():
            module(reader).check(Path(rest[0]).read_bytes(), Path(folder))
        else:
            _fuzz(reader, rest, Path(folder))


def module(reader: str) -> Any:
    """The module that has the seeds and the check for *reader*."""
    return importlib.import_module(f"tests.fuzz.{reader}")


def _fuzz(reader: str, flags: list[str], folder: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=_OURS):
        check = module(reader).check
    arguments: dict[str, Any] = {}
    if reader in _LINES:
        # Looked up at each call: atheris puts the one that works there when it begins.
        def mutate(content: bytes, most: int) -> bytes:
            mutated: bytes = atheris.Mutate(content, most)
            return mutated

        arguments["custom_mutator"] = _mutator(_LINES[reader], mutate)
    # It ends the process: what is left in the folder is for who started it to take away.
    atheris.Setup([sys.argv[0], *flags], lambda content: check(content, folder), **arguments)
    atheris.Fuzz()


def _mutator(begin: int, mutate: Callable[[bytes, int], bytes]) -> Callable[[bytes, int, int], bytes]:
    """Changes what happens to lines as often as it changes bytes."""

    def change(content: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.5:
            return mutate(content, most)
        from tests.fuzz.forms import happen

        lines = content[begin:].splitlines(keepends=True)
        return (content[:begin] + happen(lines, random, 1 + random.randrange(3)))[:most]

    return change


if __name__ == "__main__":
    main()
