"""Where the backups of a PostgreSQL server are kept, and the file in which pgBackRest reads it.

The file holds the repository's passphrase, since the server's archiving needs it: it belongs to whom the
server's files belong to, and nobody else may read it. A passphrase is never an argument of a program.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from configparser import ConfigParser, Error
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import msgspec

from nicegold_ops.backup.owner import Owner, owner_of
from nicegold_ops.backup.pgbackrest import STANZA, PgBackRest
from nicegold_ops.errors import ConfigurationError, in_one_line
from nicegold_ops.suggest import did_you_mean

_S3 = "s3://"
_EXAMPLE = "s3://BUCKET/FOLDER?region=REGION"
#: What the query of a bucket's URL may say, and pgBackRest's word for it.
_S3_OPTIONS = {
    "region": "repo1-s3-region",
    "endpoint": "repo1-s3-endpoint",
    "port": "repo1-storage-port",
    "uri-style": "repo1-s3-uri-style",
    "ca-file": "repo1-storage-ca-file",
    "key-type": "repo1-s3-key-type",
}
_GLOBAL = "global"
_PASSPHRASE = "repo1-cipher-pass"  # noqa: S105  # its name
_DATA = "pg1-path"
#: Said once, when the file is written; what somebody makes of it later is left alone.
_USUAL = {"repo1-cipher-type": "aes-256-cbc", "repo1-bundle": "y", "compress-type": "zst"}
#: Nobody guesses so many characters.
_SHORTEST = 20
_OURS = 0o600
_OTHERS = 0o077


class Secrets(msgspec.Struct, frozen=True):
    """What must not be typed: the passphrase of a repository, and the keys of a bucket."""

    passphrase: str | None = None
    s3_key: str | None = None
    s3_key_secret: str | None = None


def located(to: str, secrets: Secrets) -> dict[str, str]:
    """What pgBackRest must know to find *to*, a folder or an `s3://` URL.

    Raises ConfigurationError when it cannot be meant.
    """
    if "://" not in to:
        return {"repo1-type": "posix", "repo1-path": str(Path(to).absolute())}
    if not to.startswith(_S3):
        raise ConfigurationError(f"{to} is neither a folder nor {_EXAMPLE}")
    url = urlsplit(to)
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    _refuse_query(to, query)
    if not url.netloc or not query.get("region"):
        raise ConfigurationError(f"{to} names no bucket or no region; one is {_EXAMPLE}")
    return {
        "repo1-type": "s3",
        "repo1-path": url.path or "/",
        "repo1-s3-bucket": url.netloc,
        "repo1-s3-endpoint": f"s3.{query['region']}.amazonaws.com",
        **{_S3_OPTIONS[name]: value for name, value in query.items()},
        **({} if "key-type" in query else _keys(secrets)),
    }


def opened(settings: Path, data: Path, wanted: Mapping[str, str]) -> PgBackRest:
    """pgBackRest for the server whose folder is *data*, when it can read the repository.

    The file *settings* must say what is *wanted*; where there is none, it is written. Raises
    ConfigurationError when it cannot be or says otherwise, and what `PgBackRest.backups` raises.
    """
    owner = owner_of(data)
    with _settled(settings, owner, wanted, data) as file:
        PgBackRest(file, owner).backups()
    return PgBackRest(settings, owner)


def refuse_elsewhere(settings: Path, data: Path) -> None:
    """Raise ConfigurationError unless *settings* is about the server whose folder is *data*."""
    _refuse_otherwise(settings, {_DATA: str(data)})


def encrypted(secrets: Secrets) -> dict[str, str]:
    """What pgBackRest must know to decipher a repository; nothing where no passphrase was given."""
    if secrets.passphrase is None:
        return {}
    if len(secrets.passphrase) < _SHORTEST or not secrets.passphrase.isprintable():
        raise ConfigurationError(
            f"the passphrase must be one line of {_SHORTEST} characters or more; "
            "make one with: openssl rand -base64 48"
        )
    return {_PASSPHRASE: secrets.passphrase}


@contextmanager
def _settled(settings: Path, owner: Owner, wanted: Mapping[str, str], data: Path) -> Iterator[Path]:
    """The file *settings*, which says what is *wanted*; where there is none, what becomes it in the end.

    It does so unless something is raised meanwhile.
    """
    if settings.exists():
        _refuse_others(settings)
        _refuse_otherwise(settings, wanted)
        yield settings
        return
    _refuse_little(settings, wanted)
    half = settings.with_name(f".{settings.name}.{os.getpid()}")
    try:
        _write(half, _text(wanted, data), owner)
        yield half
        half.replace(settings)
    except OSError as error:
        raise ConfigurationError(
            f"{settings} cannot be written: {error.strerror}; name another with --pgbackrest"
        ) from None
    finally:
        with suppress(OSError):
            half.unlink()


def _refuse_query(to: str, query: Mapping[str, str]) -> None:
    for name, value in query.items():
        if name not in _S3_OPTIONS:
            raise ConfigurationError(f'{to}: S3 has no option "{name}"{did_you_mean(name, _S3_OPTIONS)}')
        if not value.isprintable():
            raise ConfigurationError(f"{to}: {name} cannot be {value!r}")


def _keys(secrets: Secrets) -> dict[str, str]:
    if not (secrets.s3_key and secrets.s3_key_secret):
        return {}
    return {"repo1-s3-key": secrets.s3_key, "repo1-s3-key-secret": secrets.s3_key_secret}


def _refuse_others(settings: Path) -> None:
    if settings.stat().st_mode & _OTHERS:
        raise ConfigurationError(
            f"{settings} holds a passphrase, and others than its owner may read it; chmod 600 {settings}"
        )


def _refuse_otherwise(settings: Path, wanted: Mapping[str, str]) -> None:
    found = _read(settings)
    for name, value in wanted.items():
        if found.get(name) != value:
            # What is secret is not repeated.
            raise ConfigurationError(
                f"{settings} says otherwise about {name}; change it there, "
                "name another file with --pgbackrest, or leave away what says it"
            )


def _read(settings: Path) -> dict[str, str]:
    parser = ConfigParser(delimiters="=", comment_prefixes="#", strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(settings.read_text(encoding="utf-8"))
    except (OSError, Error, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{settings} cannot be read: {in_one_line(error)}") from None
    sections = [parser[name] for name in (_GLOBAL, STANZA) if parser.has_section(name)]
    return {name: value for section in sections for name, value in section.items()}


def _refuse_little(settings: Path, wanted: Mapping[str, str]) -> None:
    """Before it is written it must be known what with."""
    if "repo1-type" not in wanted:
        raise ConfigurationError(
            f"{settings} is not there; say where the repository is, and the file is written: "
            f"a folder or {_EXAMPLE}"
        )
    if _PASSPHRASE not in wanted:
        raise ConfigurationError(
            "a repository is encrypted, with a passphrase that nobody but you has: keep it where this "
            "machine is not, and give it with --passphrase-file FILE or in NICEGOLD_BACKUP_PASSPHRASE"
        )
    if wanted["repo1-type"] == "s3" and not wanted.keys() & {"repo1-s3-key", "repo1-s3-key-type"}:
        raise ConfigurationError(
            "the bucket needs keys: give them in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or say key-type=auto in its URL where the machine has a role"
        )


def _write(file: Path, text: str, owner: Owner) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(_OURS, exist_ok=False)
    owner.give(file)
    file.write_text(text, encoding="utf-8")


def _text(wanted: Mapping[str, str], data: Path) -> str:
    lines = [f"{name}={value}" for name, value in {**_USUAL, **wanted}.items()]
    return "\n".join([f"[{_GLOBAL}]", *lines, "", f"[{STANZA}]", f"{_DATA}={data}", ""])
