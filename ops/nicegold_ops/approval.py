"""What a person has approved to trade live: one build and one configuration, by what they are made of.

A build is every file of nicegold and of each package that brings an enabled plugin, and the versions of
Python and of all that is installed beside them: what they need, and what could change it. What differs from
what was approved does not trade: half an upgrade, an edited plugin, another limit.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path

import msgspec

from nicegold_ops.config import Settings
from nicegold_ops.errors import ConfigurationError, DataError

FILE = "approved.json"
_OURS = ("nicegold", "nicegold_ops", "nicegold_plugins")
#: What runs. Beside it are caches and data that a run writes.
_SUFFIXES = frozenset({".py", ".so", ".pyd"})


class Approval(msgspec.Struct, frozen=True):
    """What was approved when (ns UTC) and why; who did it is the id of a person on record.

    Digests are SHA-256 in hex, *files* by their place; *packages* are versions by name.
    """

    why: str
    time: int
    configuration: str
    files: dict[str, str]
    packages: dict[str, str] = msgspec.field(default_factory=dict)
    subject: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of what was approved."""
        return _digest(msgspec.json.encode((self.configuration, self.files, self.packages)))


def approval_of(settings: Settings, why: str, time: int) -> Approval:
    """What *settings* and this build are now, for somebody to approve."""
    return Approval(why, time, _digest(settings.text.encode()), files_of(settings), packages_now())


def approve(settings: Settings, approval: Approval) -> None:
    """From now on, what *approval* says may trade live by *settings*."""
    path = settings.run.state / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(approval)))
    part.replace(path)


def refuse_unapproved(settings: Settings) -> None:
    """Raise ConfigurationError that names what is not as it was approved."""
    path = settings.run.state / FILE
    approval = approval_in(path)
    way_out = "look at it, then `nicegold approve`"
    if approval is None:
        raise ConfigurationError(f"{path}: nobody has approved this build to trade live; {way_out}")
    changed = list(changes(approval, settings))
    if approval.configuration != _digest(settings.text.encode()):
        changed.insert(0, "the configuration")
    if changed:
        rest = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        raise ConfigurationError(f"not as it was approved: {', '.join(changed[:5])}{rest}; {way_out}")


def approval_in(path: Path) -> Approval | None:
    """What was approved; None when nothing was. Raises DataError when *path* holds something else."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Approval)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise DataError(f"{path} is no approval: {error}; approve again") from None


def changes(approval: Approval, settings: Settings) -> Iterator[str]:
    """What is another build since: packages, then files."""
    if approval.packages:
        yield from _other_versions(approval.packages, packages_now())
    else:  # approved by an earlier nicegold
        yield "nobody has looked at the packages"
    yield from differences(approval.files, files_of(settings))


def _other_versions(approved: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*approved, *now}):
        before, after = approved.get(name, "none"), now.get(name, "none")
        if before != after:
            yield f"{name} {before} is {after} now"


def packages_now() -> dict[str, str]:
    """The version of Python, and of each package that is installed, by its name."""
    found = {"Python": sys.version.partition(" ")[0]}
    for each in distributions():
        # Of two the first is imported.
        found.setdefault(each.name, each.version)
    return dict(sorted(found.items()))


def differences(approved: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """The files that were changed, added or removed since, and which of these."""
    for place in sorted({*approved, *now}):
        if place not in now:
            yield f"{place} is gone"
        elif place not in approved:
            yield f"{place} is new"
        elif approved[place] != now[place]:
            yield f"{place} was changed"


def files_of(settings: Settings) -> dict[str, str]:
    """The digest of each file that runs, by its place below its package."""
    packages = {*_OURS, *(each.plugin.__module__.partition(".")[0] for each in settings.plugins)}
    roots = {name: _root_of(name) for name in sorted(packages)}
    return {
        f"{name}/{path.relative_to(root)}" if root.is_dir() else name: _digest(path.read_bytes())
        for name, root in roots.items()
        for path in _files(root)
    }


def _root_of(package: str) -> Path:
    """The folder of a package, or the file of a module."""
    module = sys.modules[package]
    place = Path(inspect.getfile(module))
    return place.parent if place.stem == "__init__" else place


def _files(root: Path) -> Iterable[Path]:
    if root.is_file():
        return [root]
    return sorted(each for each in root.rglob("*") if each.suffix in _SUFFIXES)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
