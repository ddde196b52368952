"""What `hatch_build.py` makes of the tree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import hatch_build
from hatch_build import MODULES, WATCHED, NotCompiled

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What a wheel is made of, in a folder of its own."""
    for part in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / part, tmp_path)
    for package in ("core/nicegold", "ops/nicegold_ops", "plugins/nicegold_plugins"):
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    return tmp_path


def wheel_of(tree: Path, compiler: str = "") -> tuple[Path, str]:
    """The wheel, and what was said while it was made."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "made"],
        cwd=tree,
        env=os.environ | {"PATH": compiler} if compiler else None,
        capture_output=True,
        text=True,
        check=True,
    )
    (wheel,) = (tree / "made").iterdir()
    return wheel, done.stderr + done.stdout


def native_parts(wheel: Path) -> list[str]:
    return [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]


def test_a_wheel_carries_what_is_compiled_and_says_for_which_python(tree):
    needs_a_compiler()

    wheel, said = wheel_of(tree)

    assert "pure Python" not in said
    assert {
        f"nicegold__mypyc{SUFFIX}",
        *(f"nicegold/{name}{SUFFIX}" for name in MODULES),
        f"nicegold_ops/telemetry/_watched{SUFFIX}",
    } == set(native_parts(wheel))
    assert f"-cp{sys.version_info.major}{sys.version_info.minor}-" in wheel.name


def test_without_a_compiler_a_wheel_is_for_every_python_and_the_reason_is_told(tree):
    (tree / WATCHED).with_name(f"_watched{SUFFIX}").write_bytes(b"of an older source")
    (tree / "core/nicegold" / f"engine{SUFFIX}").write_bytes(b"of an older source")

    wheel, said = wheel_of(tree, compiler="nowhere")

    assert [] == native_parts(wheel)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert "watched in pure Python: there is no " in said
    assert "core will run in pure Python: there is no " in said


def test_a_source_that_cannot_be_compiled_is_told_and_leaves_nothing(tree):
    needs_a_compiler()
    (built,) = hatch_build.build_watched(tree)
    (tree / WATCHED).write_text("#error not for this machine")

    with pytest.raises(NotCompiled, match=r"_watched.c cannot be compiled: .*not for this machine"):
        hatch_build.build_watched(tree)

    assert not built.exists()
    assert [] == list(built.parent.glob("_watched*.new"))


def test_a_module_that_cannot_be_compiled_is_told_and_leaves_nothing(tree):
    needs_a_compiler()
    (tree / "core/nicegold/engine.py").write_text("x: int = 'not a number'\n")

    with pytest.raises(NotCompiled, match=r"engine.py:1: error: Incompatible types"):
        hatch_build.build_core(tree)

    assert [] == list(hatch_build.compiled_core(tree))


def test_make_compiles_again_when_a_compiled_module_changes():
    makefile = (ROOT / "Makefile").read_text()
    (listed,) = re.findall(r"addprefix core/nicegold/,(.*)\)", makefile)

    assert [f"{name}.py" for name in MODULES] == listed.split()


def needs_a_compiler() -> None:
    try:
        hatch_build.command(Path("source"), Path("made"))
    except NotCompiled as reason:
        pytest.skip(str(reason))
