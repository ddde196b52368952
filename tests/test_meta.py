"""The seams of the repository: modules import alone, hooks are documented, names are what they say."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import nicegold
from nicegold import hookspecs

ROOT = Path(__file__).parents[1]
PACKAGES = {"core": "nicegold", "ops": "nicegold_ops", "plugins": "nicegold_plugins"}
HOOKS = {name: each for name, each in vars(hookspecs).items() if hasattr(each, "nicegold_spec")}


def modules() -> list[str]:
    """Every module of the three packages, by its dotted name."""
    found = []
    for folder, package in PACKAGES.items():
        for path in sorted((ROOT / folder / package).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            if not any(part.startswith("templates") for part in parts):
                found.append(".".join(parts).removesuffix(".__init__"))
    return found


def python(code: str, *arguments: str) -> str:
    """What a fresh interpreter, to which a warning is an error, prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


#: Each module in a process of its own, which has nothing of ours yet. The libraries are there already:
#: to start an interpreter and read them again for every module takes minutes.
ALONE = """
import importlib, os, sys, traceback
import bokeh.embed, click, jinja2, numpy, prometheus_client, pytest, rich.live, sqlalchemy, structlog

for module in sys.argv[1:]:
    if os.fork() == 0:
        try:
            importlib.import_module(module)
        except BaseException:
            print(module, traceback.format_exc())
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""


@pytest.mark.slow
def test_each_module_imports_alone():
    assert "" == python(ALONE, *modules())


def test_a_plugin_author_pays_for_pluggy_and_msgspec_only():
    new = python(
        "import sys; before = set(sys.modules); import nicegold;"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)"
    ).split()

    # Python's own description of how it was built, and what msgspec looks for where it is installed.
    others = {name for name in new if not name.startswith("_sysconfigdata")} - {"typing_extensions"}
    assert {"msgspec", "nicegold", "pluggy"} == others - {"nicegold__mypyc"}


def test_what_is_exported_exists():
    assert [] == [name for name in nicegold.__all__ if not hasattr(nicegold, name)]


def test_what_is_exported_is_sorted():
    """As ruff sorts: constants, classes, functions."""

    def place(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)

    assert sorted(nicegold.__all__, key=place) == nicegold.__all__
    assert len(set(nicegold.__all__)) == len(nicegold.__all__)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_one_line_said_to_a_person(hook):
    said = inspect.getdoc(HOOKS[hook])

    assert said is not None
    assert ("\n" in said, said[0].isupper(), said[-1]) == (False, True, ".")


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_has_a_test_that_calls_it_with_something(hook):
    """The samples of the isolation tests name every hook; each is called there in every way."""
    source = (ROOT / "tests/core/test_isolation.py").read_text(encoding="utf-8")
    assigned = [node for node in ast.parse(source).body if isinstance(node, ast.AnnAssign)]
    samples = next(node.value for node in assigned if ast.unparse(node.target) == "SAMPLES")

    assert isinstance(samples, ast.Dict)
    assert hook in [key.value for key in samples.keys if isinstance(key, ast.Constant)]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_says_what_it_gives_and_what_it_takes(hook):
    signature = inspect.signature(HOOKS[hook])

    assert signature.return_annotation is not signature.empty
    assert all(each.annotation is not each.empty for each in signature.parameters.values())
