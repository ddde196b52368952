"""The pages are run as they stand: files are written where the page says, commands are typed."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from nicegold_ops.config import parse
from tests.ops.commandline import CONFIGURATION

ROOT = Path(__file__).parents[1]
#: A file with its text, or a console session.
_BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)


@pytest.mark.slow
def test_write_a_plugin_is_runnable_as_written(tmp_path):
    run_page(ROOT / "docs" / "write-a-plugin.md", tmp_path)

    ideas = tmp_path / "ideas"
    assert (ideas / "out.json").stat().st_size > 1000
    assert (ideas / "out.html").read_text().startswith("<!doctype html>")


def forms_in_docs() -> dict[str, list[str]]:
    """The tests by feed in the table of forms in docs/data.md."""
    section = (
        (ROOT / "docs" / "data.md").read_text().partition("### Forms that are read")[2].partition("###")[0]
    )
    rows = [row.strip("|").split("|") for row in section.splitlines() if row.startswith("| ")][1:]
    tests: dict[str, list[str]] = {}
    for *_, feed, named in rows:
        tests.setdefault(feed.strip(), []).extend(name.strip() for name in named.split(";"))
    return tests


@pytest.mark.parametrize("feed", ["csv", "ticks", "parquet", "dukascopy"])
def test_each_form_in_the_docs_has_its_test_and_each_such_test_is_in_the_docs(feed):
    module = importlib.import_module(f"tests.plugins.test_feed_{feed}")
    named, forms = forms_in_docs()[feed], getattr(module, "FORMS", {})

    unknown = [
        name for name in named if name not in forms and not hasattr(module, f"test_{name.replace(' ', '_')}")
    ]
    assert ([], []) == (unknown, [name for name in forms if name not in named])


def test_each_fault_in_the_docs_names_tests_and_metrics_that_are_there():
    page = (ROOT / "docs" / "what-happens-when.md").read_text()
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    metrics = (ROOT / "docs" / "reference" / "metrics.md").read_text()

    rows = [row for row in page.splitlines() if row.startswith("| ") and "| test |" not in row]
    assert [] == [row for row in rows if not re.search(r"`test_\w+` \|$", row)]
    assert [] == [name for name in re.findall(r"`(test_\w+)`", page) if f"def {name}(" not in tests]
    assert [] == [name for name in re.findall(r"`(nicegold_\w+)`", page) if f"`{name}`" not in metrics]


def test_the_lines_that_connect_a_stack_are_settings(tmp_path):
    said = tomllib.loads(
        re.findall(r"```toml\n(.*?)```", (ROOT / "docs/connect.md").read_text(), re.DOTALL)[0]
    )
    text = CONFIGURATION.replace("[run]\n", f"[run]\nmetrics_port = {said['run']['metrics_port']}\n")
    tables = "".join(
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for name, table in said.items()
        if name != "run"
    )

    settings = parse(text + tables, tmp_path / "nicegold.toml")

    assert None not in (settings.traces, settings.errors, settings.elasticsearch, settings.vault)


def run_page(page: Path, folder: Path) -> None:
    """Do what *page* says, in one shell's steps, in *folder*."""
    where = folder
    for block in _BLOCK.finditer(page.read_text()):
        if block["file"]:
            (where / block["file"]).write_text(block["text"])
        elif block["kind"] == "console":
            for command in re.findall(r"^\$ (.+)$", block["text"], re.MULTILINE):
                where = typed(command, where, folder)


def typed(command: str, where: Path, folder: Path) -> Path:
    """Type *command*; answers the folder that the shell is in afterwards."""
    done = subprocess.run(
        ["bash", "-ec", f"{command}\npwd"],
        cwd=where,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
    return Path(done.stdout.splitlines()[-1])


def environment(folder: Path) -> dict[str, str]:
    """A reader's: nicegold is installed, and `pip install` needs no index and touches no other folder."""
    programs, packages = folder / "bin", folder / "site-packages"
    programs.mkdir(exist_ok=True)
    pip = programs / "pip"
    pip.write_text(
        "#!/bin/sh\n"
        f'exec {sys.executable} -m pip "$@" --no-deps --no-build-isolation --target {packages} '
        "--disable-pip-version-check\n"
    )
    pip.chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(packages), "PYTHONWARNINGS": ""}
