"""Programs that are built for tests, and kept in a folder that the next build finds again."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def build(module: Path, package: str) -> Path:
    """The program of the Go *package*, built unless it was, of what go.sum in the folder *module* names."""
    program = _program(module)
    if not program.exists():
        go = shutil.which("go")
        if go is None:
            sys.exit(f"{package} is built with Go, and there is none")
        program.parent.mkdir(parents=True, exist_ok=True)
        half = program.with_suffix(f".{os.getpid()}")
        options = ["-mod=readonly", "-trimpath", "-buildvcs=false"]
        subprocess.run([go, "build", *options, "-o", str(half), package], cwd=module, check=True)
        half.replace(program)
    return program


def required(module: Path, how: str) -> str:
    """The program; the test skips where it is not, unless services are required. *how* builds it."""
    program = _program(module)
    if not program.exists():
        reason = f"{module.name} is not built: {how}"
        if os.environ.get("NICEGOLD_REQUIRE_SERVICES") == "1":
            pytest.fail(f"{reason} (NICEGOLD_REQUIRE_SERVICES=1)")
        pytest.skip(reason)
    return str(program)


def _program(module: Path) -> Path:
    """Where it is kept: under a name that says of what it was built."""
    pinned = hashlib.sha256((module / "go.mod").read_bytes() + (module / "go.sum").read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "nicegold-services" / f"{module.name.removeprefix('go-')}-{pinned.hexdigest()[:16]}"
