"""Programs in Go that are built for tests, and kept in a folder that the next build finds again."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.services.cache import kept, making, run
from tests.services.required import missing


def build(module: Path, package: str) -> Path:
    """The program of the Go *package*, built unless it was, of what go.sum in the folder *module* names."""
    program = _program(module)
    if not program.exists():
        go = shutil.which("go")
        if go is None:
            sys.exit(f"{package} is built with Go, and there is none")
        command = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false"]
        with making(program) as half:
            run([*command, "-o", str(half), package], f"{package} cannot be built", cwd=module)
    return program


def required(module: Path, how: str) -> str:
    """The program; the test skips where it is not, unless services are required. *how* builds it."""
    program = _program(module)
    if not program.exists():
        missing(f"{module.name} is not built: {how}")
    return str(program)


def _program(module: Path) -> Path:
    pins = (module / "go.mod").read_bytes(), (module / "go.sum").read_bytes()
    return kept(module.name.removeprefix("go-"), *pins)
