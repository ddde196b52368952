"""The configuration on any bytes: a file, and after it options of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nicegold_ops.config import build, load, parse
from nicegold_ops.errors import ConfigurationError
from tests.fuzz.law import check_said

#: Before each option.
_OPTION = b"\n--set "
_RUN = '[run]\nmode = "backtest"\ncash = "100000"\n'
_GOLD = '[instruments.XAUUSD]\ntick_size = "0.01"\n'
_CROSS = '[plugins.cross]\nuse = "ma_cross"\ninstrument = "XAUUSD"\nfast = 10\nslow = 30\nquantity = "1"\n'
_FEED = (
    '[plugins.gold]\nuse = "csv"\ninstrument = "XAUUSD"\npath = "gold.csv"\n'
    'timezone = "UTC"\ntimeframe = "M1"\n'
)


def seeds() -> Iterator[bytes]:
    """Configurations that are right, and some that are nearly."""
    whole = _RUN + _GOLD + _CROSS + _FEED
    yield whole.encode()
    yield (whole + "--set plugins.cross.fast=5\n--set run.cash=1e5").encode()
    yield (
        _RUN + 'start = 2026-01-05T00:00:00Z\nend = 2026-02-05T00:00:00Z\nseed = 7\nstate = "~/state"'
    ).encode()
    yield (_RUN + _GOLD + 'sessions = "Sun 18:00 - Fri 17:00 America/New_York, daily 17:00-18:00"\n').encode()
    yield (whole + 'columns = {open = "O", close = "C"}\nscale = "100"\n').encode()
    yield whole.replace("plugins", "plugin").replace("cash", "csah").encode()
    yield b'run.cash = """\n100"""\ninstruments = []\nplugins.a.use = ["""x"""]\n'
    yield b"\xef\xbb\xbf[run]\r\ncash = 1.5\r\n"


def check(content: bytes, folder: Path) -> None:
    """Raise AssertionError if *content*, put into *folder*, is neither refused nor means what it says."""
    text, *options = content.split(_OPTION)
    path = folder / "nicegold.toml"
    path.write_bytes(text)
    try:
        settings = load(path, [option.decode("utf-8", "surrogateescape") for option in options])
        build(settings)
    except ConfigurationError as error:
        # It can be shown, whatever is in it.
        check_said(error, "nicegold.toml", "--set ")
        return
    # What it means, written out, means the same.
    assert settings.text == parse(settings.text, path).text
