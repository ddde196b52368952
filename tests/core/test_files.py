from __future__ import annotations

import gzip
import zipfile
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicegold import UnusableData, files, source_of
from nicegold.files import TextFile, open_text

LINES = [b"one\n", b"two\r\n", b"\n", b"f\xc3\xbcnf"]
TEXT = b"".join(LINES)


def written(folder: Path, content: bytes, name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def archive(folder: Path, **members: bytes) -> Path:
    path = folder / "bars.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name.replace("_", "."), content)
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TEXT, "text in UTF-8"),
        (b"\xef\xbb\xbf" + TEXT, "text in UTF-8"),
        (TEXT.decode().encode("utf-16"), "text in UTF-16-LE"),
        (b"\xfe\xff" + TEXT.decode().encode("utf-16-be"), "text in UTF-16-BE"),
        (gzip.compress(TEXT, mtime=0), "text in UTF-8, packed with gzip"),
        (gzip.compress(TEXT.decode().encode("utf-16"), mtime=0), "text in UTF-16-LE, packed with gzip"),
    ],
)
def test_what_a_file_begins_with_says_how_it_is_packed_and_encoded(content, said, tmp_path):
    file = open_text(written(tmp_path, content))

    assert said == str(file)
    assert LINES == file.head()
    assert LINES == list(file.lines())
    assert LINES[2:] == list(file.lines(2))
    assert 4 == file.count_lines()
    assert [line.removesuffix(b"\n") for line in LINES[:0:-1]] == list(file.lines_from_the_end(1))


def test_an_encoding_may_be_declared(tmp_path):
    path = written(tmp_path, TEXT.decode().encode("utf-16-be"))

    assert LINES == list(open_text(path, encoding="utf-16-be").lines())
    with pytest.raises(UnusableData, match='looks like UTF-16 without its mark; say encoding = "utf-16-be"'):
        open_text(path)


def test_what_is_no_character_is_spelt_out(tmp_path):
    lonely = b"\xff\xfe" + "a\n".encode("utf-16-le") + b"\x00\xd8" + "b\n".encode("utf-16-le") + b"\x00"

    lines = list(open_text(written(tmp_path, lonely)).lines())

    assert b"a\n" == lines[0]
    assert b"\\x00\\xd8b\n" == lines[1]
    assert b"\\x00" == lines[2]


@pytest.mark.parametrize("letter", ["a", "\u20ac", "\U0001f600", "\ud800"])
@pytest.mark.parametrize("block", [32, 33, 64])
def test_text_in_utf_16_is_the_same_in_blocks_of_any_size(letter, block, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_BLOCK", block)
    content = b"\xff\xfe" + (letter * 100 + "\n").encode("utf-16-le", "surrogatepass") * 3
    spelt = letter.encode(errors="surrogatepass") if letter.isprintable() else b"\\x00\\xd8"

    file = open_text(written(tmp_path, content))

    assert [spelt * 100 + b"\n"] * 3 == file.head()
    assert [spelt * 100 + b"\n"] * 3 == list(file.lines())


# Archives.


@pytest.mark.parametrize(
    "members",
    [
        {"bars_csv": TEXT},
        {"bars_dat": TEXT},
        {"bars_csv": TEXT, "bars_txt": b"gaps"},
        {"BARS_CSV": TEXT, "readme_md": b"read me", "empty_csv": b""},
        {"bars_txt": TEXT, "chart_png": b"png"},
    ],
)
def test_the_data_of_an_archive_are_found(members, tmp_path):
    assert LINES == list(open_text(archive(tmp_path, **members)).lines())


@pytest.mark.parametrize(
    ("members", "member", "reason"),
    [
        ({}, "", "has no file, or several, that could be the data; it has: none"),
        ({"a_csv": TEXT, "b_csv": TEXT}, "", "it has: a.csv, b.csv; say which with member"),
        ({"a_png": TEXT, "b_png": TEXT}, "", "it has: a.png, b.png; say which with member"),
        ({"a_csv": TEXT}, "b.csv", 'bars.zip has no "b.csv"; it has: a.csv; say which with member'),
    ],
)
def test_an_archive_in_which_the_data_are_not_certain_is_refused_with_its_names(
    members, member, reason, tmp_path
):
    with pytest.raises(UnusableData, match=reason):
        open_text(archive(tmp_path, **members), member)


def test_a_member_may_be_declared(tmp_path):
    path = archive(tmp_path, a_csv=b"other\n", b_csv=TEXT)

    assert LINES == list(open_text(path, "b.csv").lines())


def test_a_file_that_is_no_archive_has_no_member(tmp_path):
    with pytest.raises(UnusableData, match=r'bars\.csv is no zip archive, so it has no member "a\.csv"'):
        open_text(written(tmp_path, TEXT), "a.csv")


def test_an_archive_with_a_password_is_refused(tmp_path):
    path = archive(tmp_path, bars_csv=TEXT)
    content = bytearray(path.read_bytes())
    # The flag of a member that is encrypted, in its own header and in the directory.
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)

    with pytest.raises(UnusableData, match=r"bars\.zip needs a password; unpack it"):
        open_text(path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        # Of its entry: the name is a comment, a version from the future, a method that nobody knows.
        ({28: 0, 32: 8}, "the archive is damaged: string index out of range"),
        ({6: 200}, "zip file version 20.0"),
        ({10: 200}, "That compression method is not supported"),
    ],
)
def test_an_archive_whose_directory_is_damaged_is_refused(changes, reason, tmp_path):
    path = archive(tmp_path, bars_csv=TEXT)
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    for place, byte in changes.items():
        content[entry + place] = byte
    path.write_bytes(content)

    with pytest.raises(UnusableData, match=rf"bars\.zip cannot be read: {reason}"):
        open_text(path)


def test_an_archive_that_is_damaged_says_so_on_the_way(tmp_path):
    path = archive(tmp_path, bars_csv=b"".join(b"%d\n" % number for number in range(100_000)))
    file = open_text(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)

    with pytest.raises(UnusableData, match=r"bars\.zip cannot be read"):
        list(file.lines())


def test_what_only_begins_like_an_archive_is_refused(tmp_path):
    with pytest.raises(UnusableData, match=r"bars\.csv cannot be read: File is not a zip file"):
        open_text(written(tmp_path, b"PK\x03\x04\n"))


# Lines.


@pytest.mark.parametrize("content", [b"x" * (1 << 20), b"x" * (1 << 21) + b"\na\n"])
def test_a_line_without_end_is_refused(content, tmp_path):
    with pytest.raises(UnusableData, match=r"has a line without end; is it text\?"):
        open_text(written(tmp_path, content)).head()


def test_a_line_is_never_cut_in_the_beginning(tmp_path):
    line = b"x" * 9_999 + b"\n"

    assert [line] * 104 == open_text(written(tmp_path, line * 200)).head()


@given(
    content=st.lists(st.sampled_from([b"\n", b"\r", b"a", b"bc", b"d" * 9])).map(b"".join),
    skipped=st.integers(0, 3),
    packed=st.booleans(),
    block=st.integers(1, 12),
)
def test_from_the_end_there_are_the_same_lines(content, skipped, packed, block, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    path = written(folder, gzip.compress(content, mtime=0) if packed else content, "ends")
    file = TextFile(path, "gzip" if packed else "")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_BLOCK", block)
        back = list(file.lines_from_the_end(skipped))
        forth = list(file.lines(skipped))
        count = file.count_lines()

    assert [line.removesuffix(b"\n") for line in reversed(forth)] == back
    assert count == len(list(file.lines()))


def test_the_first_lines_do_not_need_the_rest(tmp_path):
    whole = gzip.compress(b"".join(b"%d,%d\n" % (number, number) for number in range(200_000)), mtime=0)
    cut = open_text(written(tmp_path, whole[: len(whole) // 2]))

    assert [b"0,0\n", b"1,1\n"] == list(islice(cut.lines(), 2))
    with pytest.raises(UnusableData, match="cannot be read: Compressed file ended before"):
        list(cut.lines())


def test_the_digest_of_several_files_depends_on_each_and_on_their_order(tmp_path):
    one, two = written(tmp_path, b"1", "one"), written(tmp_path, b"2", "two")

    assert f"{one}, {two}" == source_of(one, two).location
    assert 4 == len({source_of(*paths).digest for paths in ((one,), (two,), (one, two), (two, one))})
