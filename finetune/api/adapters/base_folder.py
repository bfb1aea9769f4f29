"""Bases of released adapters: in the store by checksum or commit, or fetched by their reference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune.api.adapters.hub_facts import commit_of, hub_licence
from finetune.artefacts.job import Artifact
from finetune.artefacts.results import as_json
from finetune.errors import RecipeError, ReleaseError, StoreError
from finetune.messages import Place, problem, sentence
from finetune.output.console import Console
from finetune.pipeline.manifest import Manifest, key_of
from finetune.pipeline.plan import STAGES
from finetune.pipeline.store import Request, Store
from finetune.pipeline.verify import refuse_damaged
from finetune.sources.checksums import checksum
from finetune.sources.model_folder import look_at
from finetune.spec.sections.base_model import Base, is_hub_id

_MODEL = "model/"
_NO_NAME = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class WantedBase:
    """The base that an adapter names."""

    repo: str
    """Hub id; of a PEFT adapter whatever it was loaded from."""
    revision: str | None = None
    """Commit (40 hex digits)."""
    weights_sha256: Mapping[str, str] = field(default_factory=dict)
    """File of the weights -> checksum; empty: not recorded."""
    section: Base | None = None
    """Section `base` of the recipe that the release records."""
    at: str = ""
    """File that names it."""


@dataclass(frozen=True, slots=True)
class OpenedBase:
    """A base that is here."""

    folder: Path
    revision: str | None = None
    licence: str | None = None


def base_of(
    wanted: WantedBase, *, store: Store, console: Console, given: Path | None = None
) -> OpenedBase:
    """Return the base of an adapter: the folder that was given, the one in the store, or fetched.

    In the store it is found by the checksums of its weights; where none are recorded, by its Hub id
    and commit.

    Raises:
        RecipeError: the adapter names no base that can be found, or the folder is no model.
        ReleaseError: the weights are not those that the release was trained on.
        InputError, StoreError: it cannot be fetched.
    """
    if given is not None:
        folder = given / "model" if (given / "model" / "config.json").is_file() else given
        look_at(folder, where=str(given))
        _refuse_other_weights(folder, wanted)
        return OpenedBase(folder)
    if found := _in_store(wanted, store):
        if not (wanted.weights_sha256 or wanted.revision):
            console.say(
                sentence(
                    "the adapter pins no commit of its base; taken from the store: {base}",
                    base=found.result.get("source") or wanted.repo,
                )
            )
        refuse_damaged([found])
        return OpenedBase(
            found.path / "model", found.result.get("revision"), found.result.get("licence")
        )
    built = _fetched(wanted, store=store, console=console)
    _refuse_other_weights(built.path / "model", wanted)
    return OpenedBase(
        built.path / "model", built.result.get("revision"), built.result.get("licence")
    )


def _in_store(wanted: WantedBase, store: Store) -> Artifact | None:
    """Return the newest base in the store that is the wanted one."""
    found = [
        artifact
        for artifact, manifest in store.artifacts()
        if artifact.stage == "base" and _is(wanted, artifact, manifest)
    ]
    return found[-1] if found else None


def _is(wanted: WantedBase, artifact: Artifact, manifest: Manifest) -> bool:
    sums = {
        name.removeprefix(_MODEL): facts.sha256
        for name, facts in manifest.files.items()
        if name.startswith(_MODEL) and name.endswith(".safetensors")
    }
    if not sums:
        return False  # of an adapter alone
    if wanted.weights_sha256:
        return sums == dict(wanted.weights_sha256)
    result = artifact.result
    same_commit = wanted.revision in (None, result.get("revision"))
    return bool(result.get("hub_id") == wanted.repo and same_commit)


def _refuse_other_weights(folder: Path, wanted: WantedBase) -> None:
    """Raise ReleaseError if a base is not the one, to the bit, that a release records."""
    if not wanted.weights_sha256:
        return
    actual = {path.name: checksum(path) for path in sorted(folder.glob("*.safetensors"))}
    if actual == dict(wanted.weights_sha256):
        return
    raise ReleaseError(
        problem(
            "not-the-base-of-the-adapter",
            "its weights are not those that the adapter was trained on (sha256 differs from "
            "{file}); name the folder of that base with --base",
            at=Place(folder),
            file="training_data.json",
        )
    )


def _fetched(wanted: WantedBase, *, store: Store, console: Console) -> Artifact:
    """Build the base in the store by the reference that the release, or the adapter, records."""
    base, recorded = wanted.section, wanted.section is not None
    if base is None or base.kind in ("directory", "gguf"):
        base, recorded = _hub_base(wanted), False
    row = STAGES["base"]
    pins: dict[str, Any] = {"hub_id": base.released_id, "revision": base.revision}
    if base.kind == "package":
        pins |= _package_pins(base)
    if not recorded:  # its licence is not stated by any recipe: no recipe shares it
        pins |= {"licence": base.licence}
    content = {"stage": row.name, "version": row.version, "content": pins, "inputs": {}}
    name = _NO_NAME.sub("-", base.released_id.rpartition("/")[2].lower()).strip("-._") or "base"
    request = Request(row.name, key_of(content), name[:80], content, {})

    def make(workspace: Path) -> dict[str, Any]:
        from finetune.models.base import make_model

        return as_json(make_model(base, workspace=workspace, console=console))

    return store.build(request, make)


def _package_pins(base: Base) -> dict[str, Any]:
    from finetune.sources.packages import package_file

    first, *others = [checksum(package_file(*each)) for each in base.package_files]
    return {"sha256": first} | ({"parts": others} if others else {})


def _hub_base(wanted: WantedBase) -> Base:
    """Return the base as the Hub has it. Raises RecipeError if the adapter does not name one."""
    if not is_hub_id(wanted.repo):
        raise RecipeError(
            problem(
                "base-not-on-the-hub",
                "names {base!r} as its base, which is no name on the Hub; name the folder of the "
                "base with --base",
                at=Place(wanted.at),
                base=wanted.repo[:200],
            )
        )
    if wanted.weights_sha256 and not wanted.revision:
        raise StoreError(
            problem(
                "base-not-here",
                "the base {base} of this adapter is not in the store, and its release records its "
                "checksums and no commit of the Hub; name its folder with --base",
                at=Place(wanted.at),
                base=wanted.repo,
            )
        )
    revision = wanted.revision or commit_of(wanted.repo, None)
    licence = hub_licence(wanted.repo, revision) or "other"
    return Base.model_validate({"model": wanted.repo, "revision": revision, "licence": licence})
