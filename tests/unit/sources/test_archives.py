"""One unpacker for archives of strangers: what it takes, and what never comes out of it."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from finetune.sources import archives, tar_stream
from finetune.sources.archives import files_in, refused_name, write_member
from finetune.sources.tar_stream import ArchiveError
from tests.support import raw_tar
from tests.support.hostile_archives import npm_cases, run_case
from tests.support.raw_tar import member, pax, tar

FILES = {
    "t/a.txt": b"a" * 700_000,
    "t/empty": b"",
    "t/ɗa/kàddu.txt": "ɗan gida".encode(),
    "t/" + "n" * 120 + "/" + "m" * 150: b"x" * 513,
}
COMPRESSIONS = {"": lambda data: data, ".gz": gzip.compress, ".xz": lzma.compress}


def read(path: Path) -> dict[str, bytes]:
    with files_in(path) as members:
        return {one.name: b"".join(one.blocks()) for one in members}


def written(folder: Path, data: bytes) -> Path:
    path = folder / "x.tar"
    path.write_bytes(data)
    return path


def as_tree(folder: Path) -> Path:
    for name, data in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / "t"


@pytest.mark.parametrize("packed", COMPRESSIONS)
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_what_python_packs_comes_out_again(tmp_path, form, packed):
    """Long names, scripts and empty files, in both formats, packed or not; folders are passed."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as made:
        made.add(as_tree(tmp_path), arcname="t")
    assert read(written(tmp_path, COMPRESSIONS[packed](stream.getvalue()))) == FILES


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar here")
@pytest.mark.parametrize("options", ["--format=gnu", "--format=pax", "-z", "-J", "--format=oldgnu"])
def test_what_tar_packs_comes_out_again(tmp_path, options):
    """A bundle packed by hand, also with `./` before its names."""
    as_tree(tmp_path)
    command = ["tar", options, "-c", "-f", "x.tar", "./t"]
    subprocess.run(command, cwd=tmp_path, check=True, env=os.environ | {"LC_ALL": "C.UTF-8"})
    assert read(tmp_path / "x.tar") == FILES


def test_a_folder_is_read_like_a_tar_file(tmp_path):
    """The same names and bytes, without the folder itself."""
    assert read(as_tree(tmp_path)) == {n.removeprefix("t/"): d for n, d in FILES.items()}


@pytest.mark.parametrize("packed", [".gz", ".xz"])
def test_several_streams_one_after_the_other_are_one_file(tmp_path, packed):
    """As parallel compressors write them; xz may have zeros between."""
    compress, whole = COMPRESSIONS[packed], tar(FILES)
    between = bytes(4) if packed == ".xz" else b""
    parts = [compress(part) for part in (whole[:5000], b"", whole[5000:])]
    assert read(written(tmp_path, between.join(parts) + between)) == FILES


def test_sizes_beyond_eight_gigabytes_are_understood():
    """GNU writes them in binary, PAX in an extended header."""
    assert tar_stream._number(b"\x80" + bytes(3) + (2**40).to_bytes(8, "big")) == 2**40
    extended = tar_stream._Extended()
    extended.add(b"x", b"22 size=1099511627776\n")
    assert extended.size == 2**40


def test_old_programs_are_understood(tmp_path):
    """Headers before ustar: no magic, signed checksums, folders by their last character."""
    folder = raw_tar.header("t/", kind=b"\0", magic=b"")
    name = b"t/\xc9\x97"
    header = bytearray(raw_tar.header(name, kind=b"\0", magic=b""))
    signed = sum(byte - 256 if byte > 127 else byte for byte in header[:148] + header[156:]) + 256
    header[148:156] = b"%06o\0 " % signed
    path = written(tmp_path, folder + bytes(header) + raw_tar.END)
    assert read(path) == {name.decode(): b""}


@pytest.mark.parametrize(
    "name",
    ["a", "a/b.c", "ɗa/kàddu.txt", "a b", "..a", "a..", ".hidden/x", "-rf", "~", "क्‍ष.txt", "CON"],
)
def test_names_in_any_script_are_taken(name):
    """Letters with joiners, spaces and dots are no tricks."""
    assert refused_name(name) is None


ODD = ["", "/", "/a", "a/", "a//b", ".", "./a", "a/./b", "..", "../a", "a/../b", " ", "a/. ./b"]
ODD += ["a\\b", "a\0b", "a\nb", "a\rb", "a\x1b[m", "a\x85b", "a\u2028b", "a\u202eb", "a\u2066b"]
ODD += ["a\udcff", "n" * 256, "ɗ" * 128, "/".join("a" * 40), "/".join(["n" * 200] * 6)]


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_names_that_lead_elsewhere_are_refused(name):
    """Absolute, upwards, empty, hidden from the eye, too long or too deep."""
    assert refused_name(name)


def test_nothing_is_written_over(tmp_path):
    """A name that the disk takes for another one's (upper and lower case) is refused by name."""
    (tmp_path / "there").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("there", "link", "there/below"):
        with (
            files_in(written(tmp_path, tar({"t/x": b"new"}))) as members,
            pytest.raises(ArchiveError, match="'t/x': is taken here"),
        ):
            write_member(next(members), tmp_path / name)
    assert (tmp_path / "there").read_bytes() == b"old"
    assert not (tmp_path / "elsewhere").exists()


def test_the_bound_on_what_comes_out_holds_for_what_is_read(tmp_path, constants):
    """Neither content nor headers, nor other members, unpack beyond the bound."""
    constants(archives, RATIO_FROM_BYTES=2**20, MAX_RATIO=1)
    large = (
        member("t/x", bytes(2**21)),
        b"".join(member(f"t/{number}", bytes(512)) for number in range(1500)),
        b"".join(pax({"comment": "x" * 9000}) + member(f"t/{n}") for n in range(150)),
        member("t/x") + bytes(2**21),
    )
    for raw in large:
        for compress in (gzip.compress, lzma.compress):
            with pytest.raises(ArchiveError, match="unpacks to more than 1 MiB"):
                read(written(tmp_path, compress(tar({}, more=[raw]))))


def test_the_number_of_members_is_bounded(tmp_path, constants):
    """A folder or an archive of more files than any bundle has is left."""
    constants(archives, MAX_MEMBERS=20)
    names = [f"t/{number}" for number in range(30)]
    with pytest.raises(ArchiveError, match="more than 20 files and folders"):
        read(written(tmp_path, tar(dict.fromkeys(names, b""))))
    (tmp_path / "t").mkdir()
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(ArchiveError, match="more than 20 files and folders"):
        read(tmp_path / "t")


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path):
    """A file of a folder that grew, or became a link, is not what was looked at."""
    tree = as_tree(tmp_path)
    with files_in(tree) as members:
        first = next(members)
        (tree / first.name).write_bytes(b"other")
        with pytest.raises(ArchiveError, match=r"a\.txt': changed"):
            list(first.blocks())
    (tree / "a.txt").write_bytes(FILES["t/a.txt"])
    with files_in(tree) as members:
        first = next(members)
        (tree / first.name).unlink()
        (tree / first.name).symlink_to("/etc/hostname")
        with pytest.raises(OSError, match="symbolic"):
            list(first.blocks())


def test_npm_archives_of_strangers_give_the_file_or_nothing(tmp_path):
    """Links, bombs and 40 mutants: each is refused, or gives the very bytes of the card."""
    verdicts = [run_case(case, tmp_path / str(n)) for n, case in enumerate(npm_cases(12, 52))]
    assert len(verdicts) == 52
    assert {v.label: v.faults for v in verdicts if v.faults} == {}
    assert {v.outcome for v in verdicts} == {"taken", "refused"}


@pytest.mark.slow
def test_four_hundred_npm_archives(tmp_path):
    """The same with 400."""
    verdicts = [run_case(case, tmp_path / str(n)) for n, case in enumerate(npm_cases(1, 412))]
    assert {v.label: v.faults for v in verdicts if v.faults} == {}
