"""Compiles the watched call (`_watched.c`) into the tree when nicegold is built or installed for work on it.

Without a C compiler or Python's headers nicegold is whole all the same: its twin in Python does what it does.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("ops/nicegold_ops/telemetry/_watched.c")


class CompiledHook(BuildHookInterface[Any]):
    """Adds the compiled call to a wheel, which then is for this Python and this platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        try:
            built = build(Path(self.root))
        except NotCompiled as error:
            self.app.display_warning(f"nicegold: plugin calls will be watched in pure Python: {error}")
            return
        # Git ignores it, so it would be left out.
        build_data["artifacts"].append(f"/{built.relative_to(self.root)}")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


class NotCompiled(Exception):
    """Why there is no compiled call, and the way to have one."""


def build(root: Path) -> Path:
    """The compiled call in the tree at *root*, made anew. Raises NotCompiled."""
    source = root / SOURCE
    built = source.with_name(source.stem + sysconfig.get_config_var("EXT_SUFFIX"))
    # One of an older source must not be taken for this one's.
    built.unlink(missing_ok=True)
    made = built.with_suffix(".new")
    try:
        # The command is ours, and the compiler whoever builds names.
        done = subprocess.run(command(source, made), capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise NotCompiled(f"{source} cannot be compiled: {done.stderr.strip()}")
        made.replace(built)
    finally:
        made.unlink(missing_ok=True)
    return built


def command(source: Path, made: Path) -> list[str]:
    """What makes *made* of *source* here. Raises NotCompiled."""
    include = Path(sysconfig.get_path("include"))
    if sys.platform != "linux":
        raise NotCompiled(f"its clock is Linux's, and this is {sys.platform}")
    if not (include / "Python.h").exists():
        raise NotCompiled(f"there is no Python.h in {include} (on Debian: apt-get install python3-dev)")
    return [
        *_compiler(),
        "-std=c11",
        "-O2",
        "-Wall",
        "-fPIC",
        "-shared",
        f"-I{include}",
        str(source),
        "-o",
        str(made),
    ]


def _compiler() -> list[str]:
    """$CC, the compiler that made this Python, or whatever is called cc: the first that is there."""
    for named in (os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc"):
        command = shlex.split(named or "")
        if command and shutil.which(command[0]):
            return command
    raise NotCompiled("there is no C compiler (on Debian: apt-get install gcc)")
