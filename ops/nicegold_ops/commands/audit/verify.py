"""`nicegold audit verify`: the proof that the record is what was written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
import sqlalchemy as sa
from rich.console import RenderableType

from nicegold_ops.audit.checkpoint import Signed, ends, faults, open_ends, published, stored
from nicegold_ops.audit.keys import MacKeys, mac_keys_of
from nicegold_ops.audit.proof import Proof, proofs
from nicegold_ops.audit.signing import PublicKey, Verifier, signer_of
from nicegold_ops.commands._options import config_option, json_option, state_option
from nicegold_ops.commands._output import answer, table
from nicegold_ops.commands._runs import secrets_of
from nicegold_ops.commands.audit._trail import copy_of, store_at
from nicegold_ops.config import Settings, load
from nicegold_ops.errors import ConfigurationError, DataError
from nicegold_ops.ship.elasticsearch import Busy, Refused

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Verified(msgspec.Struct, frozen=True):
    """What was found, run by run and by the checkpoints; *unsigned* are chains that grew since the last."""

    runs: list[Proof]
    checkpoints: int
    unsigned: list[str]
    faults: list[str]

    @property
    def is_sound(self) -> bool:
        return not self.faults and not any(each.fault for each in self.runs)


@click.command()
@click.option("--journal", is_flag=True, help="Do not ask Elasticsearch how much it has.")
@click.option(
    "--checkpoints", type=_FILE, metavar="FILE", help="Those that were published, instead of the store's own."
)
@click.option("--key", type=_FILE, metavar="FILE", help="The public key that they were signed with, in PEM.")
@config_option
@state_option
@json_option
def verify(
    journal: bool,
    checkpoints: Path | None,
    key: Path | None,
    config: Path,
    state: Path | None,
    json_to: Path | None,
) -> int:
    """Follow each run's chains from end to end, and compare what others were told with them.

    Codes show that it was written by who has the key that [audit] names. Checkpoints, where there are any,
    show what was cut off, written anew or taken away; with Elasticsearch, its documents are counted too.
    Exits with 1 at a fault.
    """
    copy = None if journal else copy_of(config, state)
    settings = None if state is not None else load(config)
    try:
        with store_at(config, state) as store, _keys(settings) as (signer, keys):
            signed = stored(store) if checkpoints is None else published(checkpoints)
            runs = list(proofs(store, copy, keys))
            found = _found(store, runs, signed, signer if key is None else _given(key))
    except (Busy, Refused) as error:
        raise DataError(f"{error}; --journal leaves it out") from None
    answer(found, json_to, *_shown(found))
    return 0 if found.is_sound else 1


def _found(store: sa.Engine, runs: list[Proof], signed: list[Signed], verifier: Verifier | None) -> Verified:
    if not signed:
        return Verified(runs, 0, [each.writer for each in ends(store)], [])
    if verifier is None:
        raise ConfigurationError("there are checkpoints; name the key that signed them with --key")
    return Verified(runs, len(signed), open_ends(store, signed), list(faults(store, signed, verifier)))


@contextmanager
def _keys(settings: Settings | None) -> Iterator[tuple[Verifier | None, MacKeys | None]]:
    """Who signs by *settings*, and the keys of codes."""
    if settings is None or settings.audit is None:
        yield None, None
        return
    with secrets_of(settings) as secrets:
        yield signer_of(settings.audit, secrets), mac_keys_of(settings.audit, secrets)


def _given(key: Path) -> PublicKey:
    try:
        return PublicKey(key.read_bytes())
    except ConfigurationError as error:
        raise ConfigurationError(f"{key} {error}") from None


def _shown(found: Verified) -> list[RenderableType]:
    rows = table("run", "events", "blocks of calls", "codes", "in Elasticsearch", "", right=_RIGHT)
    for each in found.runs:
        there = "-" if each.found is None else f"{each.found:,} of {each.documents:,}"
        codes = "not looked at" if each.codes is None else f"{each.codes:,}" if each.codes else "-"
        rows.add_row(each.run, f"{each.events:,}", f"{each.blocks:,}", codes, there, each.fault or "sound")
    return [rows, *found.faults, *_uncoded(found), _signed(found), _verdict(found)]


def _uncoded(found: Verified) -> Iterator[str]:
    without = [each.run for each in found.runs if each.codes is None]
    if without:
        yield f"codes are looked at with the key in [audit], and there is none: {', '.join(without)}"


def _signed(found: Verified) -> str:
    if not found.checkpoints:
        return "no checkpoint was signed: that an end was cut off, or a run taken away, would not be seen"
    since = f"; since the last, {', '.join(found.unsigned)} went on" if found.unsigned else ""
    return f"{found.checkpoints:,} signed checkpoints{since}"


def _verdict(found: Verified) -> str:
    if found.is_sound:
        return "all chains are sound"
    broken = sum(bool(each.fault) for each in found.runs)
    return f"{broken} of {len(found.runs)} runs are not sound, {len(found.faults)} faults by the checkpoints"


_RIGHT = ("events", "blocks of calls", "codes", "in Elasticsearch")
