"""What trades live is what was approved (A30)."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from pathlib import Path

import msgspec
import pytest

from nicegold_ops import approval
from nicegold_ops.approval import FILE, approval_of, approve, files_of, packages_now, refuse_unapproved
from nicegold_ops.config import Settings, load
from nicegold_ops.errors import ConfigurationError, DataError
from tests.ops.commandline import market_in


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(market_in(tmp_path))


@pytest.fixture
def approved(settings: Settings) -> Settings:
    approve(settings, approval_of(settings, "the first time", 7))
    return settings


def test_what_nobody_approved_does_not_trade(settings):
    with pytest.raises(ConfigurationError, match="nobody has approved this build to trade live"):
        refuse_unapproved(settings)


def test_what_was_approved_trades(approved):
    refuse_unapproved(approved)


def test_a_changed_configuration_does_not(approved, tmp_path):
    path = tmp_path / "nicegold.toml"
    changed = load(path, ("plugins.cross.fast=4",))

    with pytest.raises(ConfigurationError, match="not as it was approved: the configuration; look at it"):
        refuse_unapproved(changed)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files: files.update({"nicegold/engine.py": "0"}), "nicegold/engine.py was changed"),
        (lambda files: files.update({"nicegold/new.py": "0"}), "nicegold/new.py is new"),
        (lambda files: files.pop("nicegold_ops/app.py"), "nicegold_ops/app.py is gone"),
    ],
)
def test_another_build_does_not(approved, monkeypatch, change, said):
    files = files_of(approved)
    change(files)
    monkeypatch.setattr(approval, "files_of", lambda settings: files)

    with pytest.raises(ConfigurationError, match=said):
        refuse_unapproved(approved)


def test_another_version_of_what_it_needs_does_not(approved, tmp_path, monkeypatch):
    before = re.escape(version("msgspec"))
    # Found before the one that is installed.
    newer = tmp_path / "msgspec-99.0.dist-info"
    newer.mkdir()
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: msgspec\nVersion: 99.0\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ConfigurationError, match=rf"msgspec {before} is 99\.0 now"):
        refuse_unapproved(approved)


def test_a_package_that_was_added_or_is_gone_is_named(approved, monkeypatch):
    now = {**packages_now(), "Added": "1.0"}
    del now["msgspec"]
    monkeypatch.setattr(approval, "packages_now", lambda: now)

    with pytest.raises(ConfigurationError, match=r"Added none is 1\.0 now, msgspec \S+ is none now"):
        refuse_unapproved(approved)


PLUGIN = """
from nicegold import Bar, Order, hookimpl, plugin


@plugin
class Waits:
    @hookimpl
    def on_bar(self, bar: Bar) -> list[Order] | None:
        return None
"""


def test_a_plugin_whose_source_was_edited_does_not(tmp_path, monkeypatch):
    path = market_in(tmp_path)
    path.write_text(path.read_text() + '\n[plugins.waits]\nuse = "waits_for_a_test:Waits"\n')
    source = tmp_path / "waits_for_a_test.py"
    source.write_text(PLUGIN)
    settings = load(path)
    # Another test's of this name would be another file.
    monkeypatch.setitem(sys.modules, "waits_for_a_test", sys.modules.pop("waits_for_a_test"))
    approve(settings, approval_of(settings, "the first time", 7))
    refuse_unapproved(settings)

    source.write_text(PLUGIN.replace("return None", "return []"))

    with pytest.raises(ConfigurationError, match="waits_for_a_test was changed"):
        refuse_unapproved(settings)


def test_an_approval_of_before_packages_were_looked_at_approves_none(approved):
    path = approved.run.state / FILE
    earlier = msgspec.json.decode(path.read_bytes())
    del earlier["packages"]
    path.write_bytes(msgspec.json.encode(earlier))

    with pytest.raises(ConfigurationError, match="nobody has looked at the packages; look"):
        refuse_unapproved(approved)


def test_an_approval_that_cannot_be_read_approves_nothing(approved):
    (approved.run.state / FILE).write_text("{}")

    with pytest.raises(DataError, match="is no approval"):
        refuse_unapproved(approved)


def test_a_plugins_own_package_is_part_of_the_build(settings):
    places = files_of(settings)

    assert {"nicegold/engine.py", "nicegold_ops/app.py", "nicegold_plugins/brokers/paper.py"} <= set(places)
    assert not any("__pycache__" in each for each in places)
