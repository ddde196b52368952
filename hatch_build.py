"""Compiles two parts of nicegold into the tree when it is built or installed for work on it.

The watched call is C (`_watched.c`). The way of an order through core is Python that mypyc compiles as
it stands. Without a C compiler or Python's headers nicegold is whole all the same: what is not compiled
runs as Python.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SUFFIX: str = sysconfig.get_config_var("EXT_SUFFIX")

WATCHED = Path("ops/nicegold_ops/telemetry/_watched.c")

CORE = Path("core")
#: What every order goes through, besides the plugins and the values that they are handed; and indicators.
MODULES = ("answers", "engine", "indicators", "matching", "orders", "portfolio", "values", "venue")
#: They share one library, so that they call each other without a detour.
SHARED = "nicegold__mypyc"

_MYPYC = f"""
from mypyc.build import mypycify
from setuptools import setup

modules = [f"nicegold/{{name}}.py" for name in {MODULES}]
options = ["--config-file=", "--strict", "--python-version={sys.version_info.major}.{sys.version_info.minor}"]
setup(
    name="nicegold",
    packages=[],
    ext_modules=mypycify([*options, *modules], group_name="nicegold", debug_level="0"),
)
"""


class CompiledHook(BuildHookInterface[Any]):
    """Adds what is compiled to a wheel, which then is for this Python and this platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        for what, build in (("plugin calls will be watched", build_watched), ("core will run", build_core)):
            try:
                made = build(root)
            except NotCompiled as error:
                self.app.display_warning(f"nicegold: {what} in pure Python: {error}")
                continue
            # Git ignores them, so they would be left out; and in the tree they are below `core`.
            build_data["artifacts"] += [f"/{each.relative_to(root)}" for each in made]
            # A second copy beside the tree's would be found first, also when the tree's is newer.
            if version != "editable":
                build_data["force_include"].update(_shared(made))
            build_data["pure_python"] = False
            build_data["infer_tag"] = True


class NotCompiled(Exception):
    """Why a part is not compiled, and the way to have it."""


def build_watched(root: Path) -> list[Path]:
    """The compiled call in the tree at *root*, made anew. Raises NotCompiled."""
    source = root / WATCHED
    built = source.with_name(source.stem + SUFFIX)
    # One of an older source must not be taken for this one's.
    built.unlink(missing_ok=True)
    made = built.with_suffix(".new")
    try:
        _run(command(source, made), root, source)
        made.replace(built)
    finally:
        made.unlink(missing_ok=True)
    return [built]


def build_core(root: Path) -> list[Path]:
    """The compiled modules of core in the tree at *root*, made anew. Raises NotCompiled."""
    core = root / CORE
    for old in compiled_core(root):
        old.unlink()
    _compiler()
    _headers()
    with TemporaryDirectory() as name:
        folder = Path(name)
        # In a folder without our pyproject.toml, of which setuptools would have its own opinion.
        ignored = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(core / "nicegold", folder / "nicegold", ignore=ignored)
        (folder / "setup.py").write_text(_MYPYC)
        _run([sys.executable, "setup.py", "-q", "build_ext", "--build-lib", "made"], folder, core)
        for made in (folder / "made").rglob(f"*{SUFFIX}"):
            shutil.move(made, core / made.relative_to(folder / "made"))
    return list(compiled_core(root))


def compiled_core(root: Path) -> Iterator[Path]:
    """What is compiled of core in the tree at *root*, for any Python."""
    core = root / CORE
    yield from core.glob(f"{SHARED}.*.so")
    for name in MODULES:
        yield from core.glob(f"nicegold/{name}.*.so")


def _shared(made: list[Path]) -> Mapping[str, str]:
    """Where the library that modules share is in a wheel: beside the packages."""
    return {str(each): each.name for each in made if each.name.startswith(SHARED)}


def _run(command: list[str], folder: Path, source: Path) -> None:
    """Raises NotCompiled with what the compiler said."""
    # The commands are ours, and the compiler whoever builds names.
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise NotCompiled(f"{source} cannot be compiled: {said[-2000:]}")


def command(source: Path, made: Path) -> list[str]:
    """What makes *made* of the C *source* here. Raises NotCompiled."""
    if sys.platform != "linux":
        raise NotCompiled(f"its clock is Linux's, and this is {sys.platform}")
    flags = ("-std=c11", "-O2", "-Wall", "-fPIC", "-shared")
    return [*_compiler(), *flags, f"-I{_headers()}", str(source), "-o", str(made)]


def _headers() -> Path:
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").exists():
        raise NotCompiled(f"there is no Python.h in {include} (on Debian: apt-get install python3-dev)")
    return include


def _compiler() -> list[str]:
    """$CC, the compiler that made this Python, or whatever is called cc: the first that is there."""
    for named in (os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc"):
        command = shlex.split(named or "")
        if command and shutil.which(command[0]):
            return command
    raise NotCompiled("there is no C compiler (on Debian: apt-get install gcc)")
