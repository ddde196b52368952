"""What trades live is what was approved."""

from __future__ import annotations

from pathlib import Path

import pytest

from nicegold_ops import approval
from nicegold_ops.approval import FILE, approve, files_of, refuse_unapproved
from nicegold_ops.config import Settings, load
from nicegold_ops.errors import ConfigurationError, DataError
from tests.ops.commandline import market_in


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(market_in(tmp_path))


@pytest.fixture
def approved(settings: Settings) -> Settings:
    approve(settings, "ana", "the first time", 7)
    return settings


def test_what_nobody_approved_does_not_trade(settings):
    with pytest.raises(ConfigurationError, match="nobody has approved this build to trade live"):
        refuse_unapproved(settings)


def test_what_was_approved_trades(approved):
    refuse_unapproved(approved)


def test_a_changed_configuration_does_not(approved, tmp_path):
    path = tmp_path / "nicegold.toml"
    changed = load(path, ("plugins.cross.fast=4",))

    with pytest.raises(ConfigurationError, match="not as ana approved it: the configuration; look at it"):
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


def test_an_approval_that_cannot_be_read_approves_nothing(approved):
    (approved.run.state / FILE).write_text("{}")

    with pytest.raises(DataError, match="is no approval"):
        refuse_unapproved(approved)


def test_a_plugins_own_package_is_part_of_the_build(settings):
    places = files_of(settings)

    assert {"nicegold/engine.py", "nicegold_ops/app.py", "nicegold_plugins/brokers/paper.py"} <= set(places)
    assert not any("__pycache__" in each for each in places)
