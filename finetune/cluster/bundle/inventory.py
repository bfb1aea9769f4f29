"""Inventory of an untrusted bundle: validation of its description, checksums and manifests.

`bundle.json`, `SHA256SUMS` and the manifests of the artefacts are compared with each other and with
the files, before any name becomes a path.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from finetune.errors import InputError
from finetune.messages import Place, Problem, problem
from finetune.output.small_files import MAX_BYTES, UnreadableError, parse_json, read_bytes
from finetune.pipeline.manifest import (
    KEY_DIGITS,
    MANIFEST,
    FileFacts,
    Manifest,
    NewerError,
    key_of,
    parse_manifest,
)
from finetune.pipeline.manifest import MAX_BYTES as MAX_MANIFEST_BYTES
from finetune.pipeline.plan import STAGES
from finetune.sources.archives import content_of, files_in, refused_name
from finetune.sources.tar_stream import ArchiveError, Member, shown
from finetune.spec.sections.base_model import Name

SCHEMA = 1
FACTS, SUMS, README, REQUIREMENTS = "bundle.json", "SHA256SUMS", "README.md", "requirements.txt"
CARRIED = tuple(stage.name for stage in STAGES.values() if stage.needs_network)
"""The stages whose artefacts a bundle holds: those that need a network."""
MAX_SUMS_BYTES = 32 * 2**20
MAX_MANIFESTS_BYTES = 16 * 2**20
MAX_PROBLEMS = 20
_SUM = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_NOT_IN_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
MAX_LINE = 4096
_IMPORTED = (".py", ".pyc", ".pyd", ".so")
_PACKAGES = (".dist-info", ".egg-info", ".egg", ".egg-link", ".pth")
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def _one_line(text: str) -> str:
    if len(text) > MAX_LINE or _NOT_IN_A_LINE.search(text):
        raise PydanticCustomError(
            "line", "{0} is too long, or has control characters", {"0": shown(text)}
        )
    return text


def _recipe_name(name: str) -> str:
    try:
        return str(TypeAdapter(Name).validate_python(name))
    except ValidationError:
        raise PydanticCustomError(
            "name", "{0} is not a name of a recipe", {"0": shown(name)}
        ) from None


def _artifact_name(name: str) -> str:
    stage, _, key = name.partition("/")
    if stage not in CARRIED or not re.fullmatch(rf"[0-9a-f]{{{KEY_DIGITS}}}", key):
        raise PydanticCustomError(
            "artifact", "{0} is not an artefact of a bundle", {"0": shown(name)}
        )
    return name


Line = Annotated[str, AfterValidator(_one_line)]
RecipeName = Annotated[str, AfterValidator(_recipe_name)]
ArtifactName = Annotated[str, AfterValidator(_artifact_name)]


class Facts(BaseModel):
    """`bundle.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_: Annotated[int, Field(alias="schema", ge=SCHEMA, le=SCHEMA)]
    name: RecipeName
    """Of the recipe."""
    recipe: Line
    """Its path in `project/`."""
    version: Line
    python: Line
    machine: Line
    artifacts: Annotated[list[ArtifactName], Field(max_length=1000)]
    """`STAGE/KEY` of each folder in `store/`."""
    packages: dict[Line, Line]
    wheels: bool
    skipped_wheels: list[Line]
    site: Line | None
    overrides: Annotated[list[str], Field(max_length=1000)] = []
    """Values of --set, with any character."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """A consistent bundle; its contents are not yet compared with their checksums."""

    facts: Facts
    top: str
    """Top folder of a tar file, with `/`; empty for a folder."""
    sums: Mapping[str, str]
    """File, relative to the bundle -> sha256; every file except the list itself."""
    sizes: Mapping[str, int]
    manifests: Mapping[str, Manifest]
    """By `STAGE/KEY`."""


def read_manifest_json(content: bytes) -> Manifest:
    """Return a manifest. Raises UnreadableError if it is not one, or of a later version."""
    try:
        return parse_manifest(content)
    except NewerError as error:
        raise UnreadableError(str(error)) from None


def manifest_in(folder: Path) -> Manifest:
    """Return the manifest of an artefact's folder. Raises UnreadableError or OSError."""
    return read_manifest_json(read_bytes(folder / MANIFEST, max_bytes=MAX_MANIFEST_BYTES))


def examined(source: Path) -> Inventory:
    """Read the names, sizes and descriptions of a bundle.

    Raises:
        InputError: not a bundle, or inconsistent: all problems at once.
        ArchiveError, OSError: as `archives.files_in`.
    """
    place = Place(source)
    with files_in(source) as members:
        tops, sizes, kept = _read_members(members, is_folder=source.is_dir())
    missing = [name for name in (FACTS, SUMS) if name not in kept]
    if missing or len(tops) != 1:
        raise InputError(
            problem("not-a-bundle", "not a bundle: {file} is missing", at=place, file=missing[0])
            if missing
            else problem("not-a-bundle", "not a bundle: it has several top folders", at=place)
        )
    sums = _sums(kept[SUMS], source=source)
    try:
        facts = parse_json(kept[FACTS], Facts)
    except UnreadableError as error:
        raise InputError(
            problem(
                "unreadable-description",
                "{error}; written by another version of `finetune bundle`, or changed since",
                at=Place(source, key=FACTS),
                error=str(error),
            )
        ) from None
    manifests: dict[str, Manifest] = {}
    found = chain(
        _different_sets(sums, sizes),
        _misplaced(sums, facts),
        _manifest_problems(facts.artifacts, kept, sums=sums, sizes=sizes, manifests=manifests),
    )
    problems = [_inside(source, one) for one in islice(found, MAX_PROBLEMS)]
    if problems:
        raise InputError(*problems)
    return Inventory(facts, next(iter(tops)), sums, sizes, manifests)


def _read_members(
    members: Iterator[Member], *, is_folder: bool
) -> tuple[set[str], dict[str, int], dict[str, bytes]]:
    """Return the top folders, the size of each file, and the files with descriptions."""
    tops = {""} if is_folder else set()
    sizes: dict[str, int] = {}
    kept: dict[str, bytes] = {}
    manifests_bytes = 0
    for member in members:
        top, slash, name = ("", "", member.name) if is_folder else member.name.partition("/")
        if not name:
            raise ArchiveError(f"{shown(member.name)}: outside the folder of the bundle")
        tops.add(f"{top}{slash}")
        sizes[name] = member.size_bytes
        if name in (FACTS, SUMS):
            kept[name] = content_of(
                member, max_bytes=MAX_BYTES if name == FACTS else MAX_SUMS_BYTES
            )
        elif name.startswith("store/") and name.count("/") == 3 and name.endswith(f"/{MANIFEST}"):
            kept[name] = content_of(member, max_bytes=MAX_BYTES)
            manifests_bytes += len(kept[name])
            if manifests_bytes > MAX_MANIFESTS_BYTES:
                raise ArchiveError(f"{shown(member.name)}: the manifests are too large")
    return tops, sizes, kept


def _sums(content: bytes, *, source: Path) -> dict[str, str]:
    """Return the checksums: file -> sha256, with valid names."""
    place = Place(source, key=SUMS)
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise InputError(
            problem("not-utf-8", "not UTF-8; copy the bundle again", at=place)
        ) from None
    if lines.pop() or not lines:
        raise InputError(problem("cut-off", "empty or truncated; copy the bundle again", at=place))
    sums: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        place = Place(source, key=f"{SUMS}:{number}")
        match = _SUM.fullmatch(line)
        if match is None:
            raise InputError(
                problem(
                    "not-a-checksum", "not a checksum and a file; copy the bundle again", at=place
                )
            )
        digest, name = match.groups()
        why = refused_name(name) or ("is listed twice" if name in sums else None)
        if why or name == SUMS:
            raise InputError(
                problem(
                    "refused-name",
                    "{name}: {reason}",
                    at=place,
                    name=shown(name),
                    reason=why or "lists itself",
                )
            )
        sums[name] = digest
    return sums


def _inside(source: Path, found: Problem) -> Problem:
    """Return a problem of a file in a bundle, with the path of the bundle."""
    return found.at(Place(source, key=found.place.key if found.place else ""))


def _of(name: str, code: str, english: str, **facts: Any) -> Problem:
    """Return a problem of a file in a bundle."""
    return problem(code, english, at=Place(key=name), **facts)


def _missing(name: str) -> Problem:
    return _of(name, "missing-file", "missing; copy the bundle again")


def _different_sets(sums: Mapping[str, str], sizes: Mapping[str, int]) -> Iterator[Problem]:
    """Yield the differences between the list of checksums and the files."""
    yield from (_missing(shown(name)) for name in sorted(sums.keys() - sizes))
    yield from (
        _of(shown(name), "not-listed", "not in {list}, and refused", list=SUMS)
        for name in sorted(sizes.keys() - sums.keys() - {SUMS})
    )


def _misplaced(sums: Mapping[str, str], facts: Facts) -> Iterator[Problem]:
    """Yield the files without a place in a bundle."""
    artifacts = set(facts.artifacts)
    if len(artifacts) < len(facts.artifacts):
        yield _of(f"{FACTS}: artifacts", "repeated-artefact", "an artefact is listed twice")
    if refused_name(facts.recipe) or f"project/{facts.recipe}" not in sums:
        yield _of(
            f"{FACTS}: recipe",
            "no-such-recipe",
            "there is no {recipe} in project/",
            recipe=shown(facts.recipe),
        )
    if FACTS not in sums:
        yield _of(FACTS, "not-listed", "not in {list}, and refused", list=SUMS)
    for name in sums:
        first, _, rest = name.partition("/")
        known = name in (FACTS, README) or (facts.wheels and name == REQUIREMENTS)
        if first == "project" and rest:
            if why := unfit_for_project(rest):
                yield _of(shown(name), "unfit-for-a-project", "{reason}", reason=why)
        elif first == "store" and rest.count("/") >= 2:
            if "/".join(rest.split("/")[:2]) not in artifacts:
                yield _of(
                    shown(name), "no-such-artefact", "not part of an artefact in {file}", file=FACTS
                )
        elif not known and not (facts.wheels and first == "wheels" and rest.endswith(".whl")):
            yield _of(shown(name), "not-part-of-a-bundle", "not part of a bundle")


def unfit_for_project(name: str) -> str | None:
    """Return why a file must not be in an untrusted project; None if it may.

    Some programs run files of their working folder: git its configuration, Python modules, finetune
    the artefacts of a store.

    >>> unfit_for_project("data_cards/radio.md")
    >>> unfit_for_project("yaml/__init__.py")
    'is a Python module, which could be run by accident'
    """
    parts = name.split("/")
    if parts[0].startswith(".") or ".git" in (part.lower() for part in parts):
        return "is hidden, and a hidden file can be run or read by accident"
    module = len(parts) == 1 and name.lower().endswith(_IMPORTED)
    if module or any(part.partition(".")[0] == "__init__" for part in parts):
        return "is a Python module, which could be run by accident"
    if parts[0].lower().endswith(_PACKAGES):  # `python -m` searches entry points here
        return "looks like an installed package, whose functions could be run by accident"
    return None


def _manifest_problems(
    artifacts: Sequence[str],
    kept: Mapping[str, bytes],
    *,
    sums: Mapping[str, str],
    sizes: Mapping[str, int],
    manifests: dict[str, Manifest],
) -> Iterator[Problem]:
    """Yield the differences between artefacts and their manifests; collect valid manifests."""
    files: defaultdict[str, dict[str, FileFacts]] = defaultdict(dict)
    for path, sha256 in sums.items():
        first, _, rest = path.partition("/")
        if first == "store" and path in sizes:
            stage, key, name = (*rest.split("/", 2), "", "")[:3]
            facts = FileFacts(sha256=sha256, size_bytes=sizes[path])
            files[f"{stage}/{key}"][name] = facts
    for name in artifacts:
        where = f"store/{name}/{MANIFEST}"
        if where not in kept:
            yield _missing(where)
            continue
        try:
            manifest = read_manifest_json(kept[where])
        except UnreadableError as error:
            yield _of(
                where,
                "unreadable-manifest",
                "{error}; write the bundle again",
                error=str(error),
            )
            continue
        there = {file: facts for file, facts in files[name].items() if file != MANIFEST}
        yield from _unlike_manifest(name, manifest, there)
        manifests[name] = manifest


def _unlike_manifest(
    name: str, manifest: Manifest, there: Mapping[str, FileFacts]
) -> Iterator[Problem]:
    """Yield the differences between the files of an artefact and its manifest."""
    where = f"store/{name}"
    if f"{manifest.stage}/{manifest.key}" != name:
        actual = shown(f"{manifest.stage}/{manifest.key}")
        yield _of(
            f"{where}/{MANIFEST}",
            "manifest-of-another",
            "it is the manifest of {artefact}; write the bundle again",
            artefact=actual,
        )
    elif key_of(manifest.content) != manifest.key:
        yield _of(
            f"{where}/{MANIFEST}",
            "another-key",
            "its content gives another key; write the bundle again",
        )
    for file in sorted(there.keys() | manifest.files):
        at = shown(f"{where}/{file}")
        if file not in manifest.files:
            yield _of(at, "not-in-manifest", "not in its manifest; write the bundle again")
        elif file not in there:
            yield _of(
                at, "only-in-manifest", "in its manifest, but missing; write the bundle again"
            )
        elif there[file] != manifest.files[file]:
            yield _of(at, "unlike-manifest", "differs from its manifest; write the bundle again")
