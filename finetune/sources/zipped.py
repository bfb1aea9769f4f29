"""Compressed files and members of ZIP archives, read as the files that they hold.

Nothing is unpacked to a disk: a file is inflated while it is read. The first bytes decide, whatever
a file is called. Beyond a stated ratio a file is a decompression bomb and is refused.
"""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from finetune.errors import DataError
from finetune.messages import Place, Sentence, problem, sentence
from finetune.output.small_files import open_regular
from finetune.sources.archives import MAX_RATIO, RATIO_FROM_BYTES
from finetune.sources.inflated import damaged_or_bomb, uncompressed

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ZIP = b"PK\3\4"
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes of compressed files; the format is the suffix before."""
ARCHIVES = (".tar", ".tgz", ".tbz2", ".txz", ".rar", ".7z")
"""Suffixes of archives that are not read."""
BESIDE = (".md", ".ids", ".scores", ".score", ".links", ".log", ".json.meta")
"""Suffixes of files beside texts, with numbers and descriptions of them."""
ABOUT = frozenset({"readme", "license", "licence", "copying", "notice", "info", "changelog"})
OFFICE = "[Content_Types].xml"
"""A file in every document of Word and Excel, which are ZIP archives too."""
DAMAGED = "damaged-compression"
"""Code of the problem of a file that cannot be unpacked."""
MAX_MEMBERS = 10_000
MAX_DIRECTORY_BYTES = 8 * 2**20
"""Size of an archive's list of members, which is read before its content is known."""
MAX_REWINDS = 64
"""Times that a reader may go back in a compressed file, which is inflated anew each time."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
BROKEN = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError),
    *(RuntimeError, NotImplementedError, OSError, ValueError),
)
"""Errors of a file that cannot be unpacked."""
_HEAD_BYTES = 512
_TAR = slice(257, 262)
"""Of a tar archive: its own name for itself."""
_MAGIC = (b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh", b"\x28\xb5\x2f\xfd")
"""Of gzip, xz, bzip2 and Zstandard."""
_BLOCK = b"1AY&SY"
"""The next bytes of a bzip2 file, which no text has there."""


def uncompressed_name(name: str) -> str:
    """Return a file's name without the suffix of its compression.

    >>> uncompressed_name("texts/a.tsv.gz"), uncompressed_name("a.tsv")
    ('texts/a.tsv', 'a.tsv')
    """
    return name[: name.rindex(".")] if name.lower().endswith(COMPRESSED) else name


def is_beside(name: str) -> bool:
    """Return whether a file is a description or holds numbers, by its name.

    >>> is_beside("OPUS/README"), is_beside("QED.en-wo.ids"), is_beside("QED.en-wo.wo")
    (True, True, False)
    """
    path = PurePosixPath(uncompressed_name(name))
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return hidden or path.stem.lower() in ABOUT or path.suffix.lower() in BESIDE


def is_zip(path: Path) -> bool:
    """Return whether a file is a ZIP archive, by its first bytes."""
    with open_regular(path) as stream:
        return stream.read(4) == ZIP


def members_of(path: Path, *, at: Place) -> list[str]:
    """Return the names of the files in a ZIP archive, without those beside its texts.

    Raises DataError for a damaged, protected or hostile archive.
    """
    with open_regular(path) as stream, _clear(at):
        infos = _checked(stream, at)
    return [info.filename for info in infos if not is_beside(info.filename)]


def chosen_members(
    names: Sequence[str], *, suffixes: Collection[str], parts: Collection[str] = ()
) -> list[str]:
    """Return the members of a format: by suffix, by a part of the path, or the only one.

    >>> chosen_members(["a.txt", "b.csv"], suffixes=[".txt"])
    ['a.txt']
    >>> chosen_members(["x.en-wo.en", "x.en-wo.wo"], suffixes=[], parts=["en", "wo"])
    ['x.en-wo.en', 'x.en-wo.wo']
    """
    fits = [n for n in names if PurePosixPath(uncompressed_name(n)).suffix.lower() in suffixes]
    if not fits:
        wanted = set(parts)
        fits = [name for name in names if wanted & set(name_parts(name))]
    return fits or (list(names) if len(names) == 1 else [])


def name_parts(name: str) -> list[str]:
    """Return the parts of a path that can name a language: folders, and between dots.

    >>> name_parts("dev/wol_Latn.dev"), name_parts("a/GNOME.en-wo.wo.gz")
    (['dev', 'wol_Latn.dev', 'wol_Latn', 'dev'], ['a', 'GNOME.en-wo.wo', 'GNOME', 'en-wo', 'wo'])
    """
    path = PurePosixPath(uncompressed_name(name))
    return [*path.parts, *path.name.split(".")]


def open_content(path: Path, *, member: str = "", at: Place) -> BinaryIO:
    """Open a file, a member of an archive, or what is compressed in either.

    Raises DataError for a decompression bomb and for damage, also while it is read; and as
    `open_regular`.
    """
    file: IO[bytes] = open_regular(path)
    try:
        if member:
            file = _member(file, member, at)
        return _inflating(file, at, packed_bytes=path.stat().st_size)
    except BaseException:
        file.close()
        raise


def _member(packed: IO[bytes], name: str, at: Place) -> IO[bytes]:
    """Return the content of a member of an archive; closing it closes the archive."""
    try:
        with _clear(at):
            infos = {info.filename: info for info in _checked(packed, at)}
            if name not in infos:
                raise zipfile.BadZipFile(f"no file {name!r}")
            archive = zipfile.ZipFile(packed)
        raw = _Unpacked(
            lambda: archive.open(name),
            at=at,
            packed_bytes=infos[name].compress_size,
            owner=packed,
        )
        return io.BufferedReader(raw)
    except BaseException:
        packed.close()
        raise


def _inflating(file: IO[bytes], at: Place, *, packed_bytes: int) -> BinaryIO:
    """Return what comes out of a compressed file, or any other file as it is."""
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if not _is_compressed(head):
        _refuse_tar(head, at)
        return cast(BinaryIO, file)

    def again() -> IO[bytes]:
        file.seek(0)
        return cast(IO[bytes], uncompressed(file, head))

    reader = io.BufferedReader(_Unpacked(again, at=at, packed_bytes=packed_bytes, owner=file))
    if _is_compressed(start := reader.peek(_HEAD_BYTES)):
        raise DataError(
            problem("compressed-twice", "is compressed more than once; unpack it once", at=at)
        )
    _refuse_tar(start, at)
    return cast(BinaryIO, reader)


def _refuse_tar(head: bytes, at: Place) -> None:
    """Raise DataError for a tar archive, whatever it is called: its members would be one text."""
    if head[_TAR] == b"ustar":
        raise DataError(
            problem(
                "tar-archive",
                "is a .tar archive by its content; unpack it and name the files in it, or pack "
                "them as .zip",
                at=at,
            )
        )


def _is_compressed(head: bytes) -> bool:
    is_bzip2 = head.startswith(b"BZh")
    return head.startswith(_MAGIC) and (not is_bzip2 or head[4:10] == _BLOCK)


class _Unpacked(io.RawIOBase):
    """Bytes of a compressed file; going back begins anew."""

    def __init__(
        self, opener: Callable[[], IO[bytes]], *, at: Place, packed_bytes: int, owner: IO[bytes]
    ) -> None:
        self._opener, self._at, self._owner = opener, at, owner
        self._max_bytes = max(RATIO_FROM_BYTES, MAX_RATIO * packed_bytes)
        self._position = self._rewinds = 0
        self._stream: IO[bytes] = io.BytesIO()  # is closed if the content cannot be opened
        with _clear(at):
            self._stream = opener()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        with _clear(self._at):
            data = self._stream.read(len(view))
        view[: len(data)] = data
        self._position += len(data)
        if self._position > self._max_bytes:
            raise _bomb(self._at, self._max_bytes)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place by reading up to it; from the end only to the end itself."""
        target = offset + (self._position if whence == io.SEEK_CUR else 0)
        if whence == io.SEEK_END:
            target = self._max_bytes + 1
        elif target < self._position:
            self._rewinds += 1
            if self._rewinds > MAX_REWINDS:
                raise _unpack_first(self._at)
            self._position = 0
            with _clear(self._at):
                self._stream = self._opener()
        while self._position < target and self.read(min(2**20, target - self._position)):
            pass
        return self._position

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._owner.close()
        super().close()


class _clear:
    """Turn exceptions of damaged archives into DataError; our own errors pass."""

    def __init__(self, at: Place) -> None:
        self.at = at

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, BROKEN) and not isinstance(error, DataError):
            raise DataError(
                problem(
                    DAMAGED,
                    "cannot be unpacked ({why}); download it again, or unpack it and name the "
                    "files in it",
                    at=self.at,
                    why=str(error)[:120],
                )
            ) from None


def _checked(stream: IO[bytes], at: Place) -> list[zipfile.ZipInfo]:
    """Return the members of an archive; DataError for one that no ordinary program writes."""
    _look_at_directory(stream, at)
    infos = [info for info in zipfile.ZipFile(stream).infolist() if not info.is_dir()]
    names = {info.filename for info in infos}
    if len(infos) > MAX_MEMBERS or len(names) < len(infos):
        raise _odd(at, sentence("lists more than {count} files, or one of them twice",
                                count=MAX_MEMBERS))  # fmt: skip
    packed = stream.seek(0, io.SEEK_END)
    unpacked = sum(info.file_size for info in infos)
    if unpacked > max(RATIO_FROM_BYTES, MAX_RATIO * packed):
        raise _bomb(at, max(RATIO_FROM_BYTES, MAX_RATIO * packed))
    for info in infos:
        if info.flag_bits & 1:
            raise _odd(at, sentence("has a password"))
        if info.compress_type not in _METHODS:
            raise _odd(at, sentence("is compressed in an unusual way"))
    stream.seek(0)
    return infos


def _look_at_directory(stream: IO[bytes], at: Place) -> None:
    """Raise DataError for an archive whose list of members would fill the memory."""
    size_bytes = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size_bytes - 2**16 - 200))
    tail = stream.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0:
        raise zipfile.BadZipFile("it has no end")
    listed = int.from_bytes(tail[end + 12 : end + 16], "little")
    long_end = tail.rfind(b"PK\6\6", 0, end)
    if long_end >= 0:
        listed = int.from_bytes(tail[long_end + 40 : long_end + 48], "little")
    if listed > MAX_DIRECTORY_BYTES:
        raise _odd(at, sentence("lists more than {count} files, or one of them twice",
                                count=MAX_MEMBERS))  # fmt: skip
    stream.seek(0)


def _odd(at: Place, why: Sentence) -> DataError:
    return DataError(
        problem(
            "odd-archive",
            "{why}; unpack it and name the files in it",
            at=at,
            why=why,
        )
    )


def _bomb(at: Place, max_bytes: int) -> DataError:
    sizes = sentence("unpacks to more than {mib} MiB", mib=max_bytes // 2**20)
    return damaged_or_bomb(at, sizes)


def _unpack_first(at: Place) -> DataError:
    return DataError(
        problem(
            "compressed",
            "is compressed, and files of this format are read from several places; unpack it first",
            at=at,
        )
    )
