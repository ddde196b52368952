"""Files of market data as they lie on the disk: packed or not, in one encoding or another.

They are read line by line, from either end, in a few blocks of memory.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import lzma
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import msgspec

from nicegold.model import Source
from nicegold.quality import UnusableData

#: Encodings that may be declared. Any other that writes digits as ASCII does is read as UTF-8.
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")

#: What a file begins with, and what it is then.
_PACKINGS = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}
#: What a text begins with, and its encoding then.
_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
#: In an archive with several files, data end in the first of these that any of them ends in.
_DATA_ENDINGS = (".csv", ".tsv", ".txt", ".prn")
#: How files begin that are no text, and what to do with them.
_NOT_TEXT = {b"PAR1": 'is Parquet; read it with use = "parquet"'}
#: Bytes of a line beyond which it is none; so much is looked at to recognise a file.
_LONGEST = 1 << 20
#: Lines that are looked at to recognise a file.
_SAMPLE = 200
_BLOCK = 1 << 18
#: What the standard library raises for a file that cannot be read to its end.
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)


def find_file(path: Path) -> Path:
    """*path*, if there is such a file. Raises UnusableData that says where it was looked for."""
    if path.is_file():
        return path
    if path.is_dir():
        raise UnusableData(f"{path.name} is a folder (in {path.absolute().parent}); name a file in it")
    raise UnusableData(f"there is no file {path.name} (looked in {path.absolute().parent})")


def source_of(path: Path, *others: Path) -> Source:
    """Where the file *path* is, and the SHA-256 of its bytes. Raises UnusableData.

    Of several files the digest is that of their digests, in their order.
    """
    digests = [_digest(each) for each in (path, *others)]
    location = ", ".join(str(each.absolute()) for each in (path, *others))
    return Source(location, hashlib.sha256("".join(digests).encode()).hexdigest() if others else digests[0])


@contextmanager
def about_file(path: Path) -> Iterator[None]:
    """Put the name of *path* before what an UnusableData raised inside says."""
    try:
        yield
    except UnusableData as error:
        error.args = (f"{path.name} {error}",)
        raise


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Make UnusableData, which names *path*, of what goes wrong inside with the file."""
    try:
        yield
    except _BROKEN as error:
        reason = getattr(error, "strerror", None) or str(error) or "it breaks off"
        raise UnusableData(f"{path.name} cannot be read: {reason}") from None


def _digest(path: Path) -> str:
    with readable(find_file(path)), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class TextFile(msgspec.Struct, frozen=True):
    """A text file: how it is packed ("gzip", "zip" or not), which *member* of an archive, and encoded.

    All lines are given in UTF-8. Each method raises UnusableData where the file breaks off.
    """

    path: Path
    packing: str = ""
    member: str = ""
    encoding: str = "utf-8"

    def __str__(self) -> str:
        packed = {"gzip": ", packed with gzip", "zip": f", {self.member} in a zip archive"}.get(
            self.packing, ""
        )
        return f"text in {self.encoding.upper()}{packed}"

    def head(self) -> list[bytes]:
        """Its first lines. Raises UnusableData if it is no text, or has a line without end."""
        with self._open() as file:
            begin = file.read(_LONGEST)
        for mark, reason in _NOT_TEXT.items():
            if begin.startswith(mark):
                raise UnusableData(f"{self.path.name} {reason}")
        lines = io.BytesIO(begin).readlines()
        # The last one may have been cut.
        whole = lines[:-1] if len(begin) == _LONGEST else lines
        if begin and not whole:
            raise UnusableData(f"{self.path.name} has a line without end; is it text?")
        return whole[:_SAMPLE]

    def lines(self, skipped: int = 0) -> Iterator[bytes]:
        """Its lines, but for the first *skipped*."""
        with self._open() as file:
            yield from islice(file, skipped, None)

    def lines_from_the_end(self, skipped: int = 0) -> Iterator[bytes]:
        """The same, the last one first, without their ends. What is packed is unpacked beside."""
        with self._open() as file, _seekable(file) as seekable:
            for _ in range(skipped):
                seekable.readline()
            yield from _backwards(seekable, seekable.tell())

    def count_lines(self) -> int:
        """How many lines it has; one that does not end counts."""
        count, last = 0, b"\n"
        with self._open() as file:
            while block := file.read(_BLOCK):
                count += block.count(b"\n")
                last = block[-1:]
        return count + (last != b"\n")

    @contextmanager
    def _open(self) -> Iterator[io.BufferedReader]:
        """Its bytes, unpacked and in UTF-8, after a byte order mark."""
        with readable(self.path), ExitStack() as opened:
            unpacked = _unpacked(self.path, self.packing, self.member, opened)
            mark = next((mark for mark in _MARKS if unpacked.peek(4).startswith(mark)), b"")
            unpacked.read(len(mark))
            if self.encoding == "utf-8":
                yield unpacked
            else:
                yield io.BufferedReader(_Recoded(unpacked, self.encoding), _BLOCK)


def open_text(path: Path, member: str = "", encoding: str = "") -> TextFile:
    """The text file *path*, its packing, member and encoding recognised where they are not said.

    Raises UnusableData if there is no such file, or its archive has none or several that could be it.
    """
    with readable(find_file(path)):
        with path.open("rb") as file:
            begin = file.read(4)
        packing = next((name for mark, name in _PACKINGS.items() if begin.startswith(mark)), "")
        if packing == "zip":
            member = _member_of(path, member)
        elif member:
            raise UnusableData(f'{path.name} is no zip archive, so it has no member "{member}"')
        with ExitStack() as opened:
            begin = _unpacked(path, packing, member, opened).peek(4)
    return TextFile(path, packing, member, encoding or _encoding_of(path, begin))


def _encoding_of(path: Path, begin: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if begin.startswith(mark):
            return encoding
    # Every other byte of ASCII in UTF-16 is 0.
    if b"\0" in (begin[:1], begin[1:2]) and begin[:2] != b"\0\0" and len(begin) > 1:
        likely = ENCODINGS[1] if begin[1:2] == b"\0" else ENCODINGS[2]
        raise UnusableData(f'{path.name} looks like UTF-16 without its mark; say encoding = "{likely}"')
    return "utf-8"


def _member_of(path: Path, member: str) -> str:
    """The name of the file in the archive *path* that has the data."""
    with _damage_told(), zipfile.ZipFile(path) as archive:
        names = [each.filename for each in archive.infolist() if each.file_size and not each.is_dir()]
        protected = {each.filename for each in archive.infolist() if each.flag_bits & 1}
    found = [name for name in names if name == member] if member else _likely_data(names)
    if len(found) != 1:
        wanted = f'has no "{member}"' if member else "has no file, or several, that could be the data"
        raise UnusableData(
            f'{path.name} {wanted}; it has: {", ".join(names[:10]) or "none"}; say which with member = "..."'
        )
    if found[0] in protected:
        raise UnusableData(f"{path.name} needs a password; unpack it")
    return found[0]


def _likely_data(names: list[str]) -> list[str]:
    if len(names) == 1:
        return names
    endings = [[name for name in names if name.lower().endswith(ending)] for ending in _DATA_ENDINGS]
    return next(filter(None, endings), [])


def _unpacked(path: Path, packing: str, member: str, opened: ExitStack) -> io.BufferedReader:
    """The bytes of *path* as they were before they were packed; *opened* closes what is opened."""
    file = opened.enter_context(path.open("rb"))
    if packing == "gzip":
        # Both promise the same as RawIOBase in what a reader of buffers needs.
        return io.BufferedReader(gzip.GzipFile(fileobj=file), _BLOCK)
    if packing == "zip":
        with _damage_told():
            archive = opened.enter_context(zipfile.ZipFile(file))
            packed: Any = opened.enter_context(archive.open(member))
        return io.BufferedReader(packed, _BLOCK)
    return file


@contextmanager
def _damage_told() -> Iterator[None]:
    """Make BadZipFile of what else zipfile raises when an archive's directory is damaged."""
    try:
        yield
    except NotImplementedError:  # a compression that it does not know
        raise
    except (ValueError, LookupError, RuntimeError, struct.error) as error:
        raise zipfile.BadZipFile(f"the archive is damaged: {error}") from None


class _Recoded(io.RawIOBase):
    """The bytes of *file*, whose encoding is another, in UTF-8. What is no character is spelt out."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder(encoding)("backslashreplace").decode
        #: What is recoded, and did not fit into the last buffer.
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        while not self._rest:
            block = self._file.read(_BLOCK)
            self._rest = self._decode(block, not block).encode()
            if not block:
                break
        size = min(len(view), len(self._rest))
        view[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


@contextmanager
def _seekable(file: io.BufferedReader) -> Iterator[IO[bytes]]:
    """*file*, or where it would be unpacked anew for every step back, a copy of it on the disk."""
    if isinstance(file.raw, io.FileIO):
        yield file
        return
    with TemporaryFile() as copy:
        shutil.copyfileobj(file, copy, _BLOCK)
        copy.seek(0)
        yield copy


def _backwards(file: IO[bytes], begin: int) -> Iterator[bytes]:
    """The lines of *file* behind the byte *begin*, the last one first."""
    end = file.seek(0, io.SEEK_END)
    if end == begin:
        return
    file.seek(end - 1)
    if file.read(1) == b"\n":  # it ends the last line, and begins none
        end -= 1
    rest = b""
    while end > begin:
        size = min(_BLOCK, end - begin)
        end -= size
        file.seek(end)
        rest, *lines = (file.read(size) + rest).split(b"\n")
        yield from reversed(lines)
    yield rest
