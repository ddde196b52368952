"""A plugin's first package: it installs as it stands, keeps the contract of its kind, and has one
test that fails until somebody says what the plugin is for.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path
from string import Template

from nicegold_ops.errors import ConfigurationError

#: What can be made, each a pair of templates.
KINDS = ("feed", "strategy", "risk", "broker", "notifier", "watcher")

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_OF_A_NAME = re.compile(r"[^a-z0-9]+")
#: What a configuration has to say beyond `use`.
_SETTINGS = {"feed": 'instrument = "XAUUSD"\n', "strategy": 'instrument = "XAUUSD"\n'}


def scaffold(kind: str, name: str, into: Path, taken: Collection[str] = ()) -> Path:
    """Write the package of a plugin called *name* into a new folder in *into*; answers the folder.

    Raises ConfigurationError when *name* is no name, is one of those *taken*, or the folder exists.
    """
    _refuse_name(name)
    if name in taken:
        raise ConfigurationError(f'a plugin called "{name}" is installed already; choose another name')
    folder = into / _distribution(name)
    texts = _texts(kind, name)
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise ConfigurationError(f"{folder} exists already; nothing is overwritten") from None
    for path, text in texts.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return folder


def _refuse_name(name: str) -> None:
    if _NAME.fullmatch(name) and not keyword.iskeyword(name):
        return
    near = _NOT_OF_A_NAME.sub("_", _WORD_STARTS.sub("_", name).lower()).strip("_")
    good = near if _NAME.fullmatch(near) and not keyword.iskeyword(near) else "daily_limit"
    raise ConfigurationError(f'"{name}" is not a name in snake_case; write it such as {good}')


def _distribution(name: str) -> str:
    return f"nicegold-{name.replace('_', '-')}"


def _texts(kind: str, name: str) -> dict[str, str]:
    """The files of the package, by their path in it."""
    module = f"nicegold_{name}"
    words = {
        "kind": {"risk": "risk check"}.get(kind, kind),
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "class_name": "".join(part.capitalize() for part in name.split("_")),
        "module": module,
        "distribution": _distribution(name),
        "settings": _SETTINGS.get(kind, ""),
    }
    sources = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"src/{module}/__init__.py": f"{kind}.py",
        f"tests/test_{name}.py": f"test_{kind}.py",
    }
    return {path: _template(source).substitute(words) for path, source in sources.items()}


def _template(name: str) -> Template:
    return Template((files("nicegold_ops") / "templates" / f"{name}.tmpl").read_text("utf-8"))
