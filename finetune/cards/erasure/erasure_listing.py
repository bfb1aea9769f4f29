"""Places where withdrawn texts were found, and the listing that outlives an interruption.

The listing is `withdrawn/NAME.erasure.json` beside the card. It is written before anything is
deleted and after each deletion, so that the same command goes on after a kill, also where what led
to a place is deleted already. It holds paths and keys, and no text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from finetune.errors import RecipeError
from finetune.messages import Place, problem
from finetune.output.durable import replace_text
from finetune.output.small_files import UnreadableError, read_json

Kind = Literal[
    "artefact",
    "unfinished",
    "snapshot",
    "published",
    "bundle",
    "campaign",
    "catalogue",
    "release",
    "files",
    "other",
    "unreadable",
]
"""`artefact`: of the store; `unfinished`: a build that was stopped; `snapshot`: files of a job
chain; `published`: a repository of the folder hub; `release`: a copy of a release; `files`: the
card's own files, and the card; `other`: what this program did not write, or not from these texts;
`unreadable`: a file that cannot be searched to its end."""
KEPT: frozenset[Kind] = frozenset({"files", "other", "unreadable"})
"""Kinds that are listed and never deleted: others wrote them."""
MAX_BYTES = 64 * 2**20


class Found(BaseModel):
    """A place with withdrawn texts, or made from them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Kind
    path: str
    """File or folder."""
    name: str = ""
    """`stage/key` of an artefact, `org/name` of a repository."""
    files: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Files of ours below `path`, where only they are deleted."""
    is_erased: bool = False


class Published(BaseModel):
    """A release that was made from withdrawn texts, as a hub may hold it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    repo: str
    kind: Literal["model", "dataset"] = "model"
    tag: str = ""
    """Tag of the release; empty for a data set."""


class Listing(BaseModel):
    """Everything that was found for a card."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["finetune-erasure"] = "finetune-erasure"
    version: Literal[1] = 1
    card: str
    found: Annotated[tuple[Found, ...], Field(strict=False)] = ()
    published: Annotated[tuple[Published, ...], Field(strict=False)] = ()

    @property
    def to_erase(self) -> tuple[Found, ...]:
        """Places that are still to be deleted."""
        return tuple(one for one in self.found if not one.is_erased and one.kind not in KEPT)

    def joined(self, earlier: Listing | None) -> Listing:
        """Return this listing with what an earlier one has beside it."""
        if earlier is None:
            return self
        now = {(one.kind, one.path) for one in self.found}
        left = [
            one
            for one in earlier.found
            if (one.kind, one.path) not in now and (one.is_erased or one.kind not in KEPT)
        ]
        repos = dict.fromkeys((*earlier.published, *self.published))
        return self.model_copy(update={"found": (*left, *self.found), "published": tuple(repos)})

    def with_erased(self, one: Found) -> Listing:
        """Return the listing after a place was deleted."""
        done = one.model_copy(update={"is_erased": True})
        found = tuple(done if other == one else other for other in self.found)
        return self.model_copy(update={"found": found})


def listing_path(card: Path) -> Path:
    """Return where the listing of a card is.

    >>> listing_path(Path("data_cards/radio.md")).as_posix()
    'data_cards/withdrawn/radio.erasure.json'
    """
    return card.parent / "withdrawn" / f"{card.stem}.erasure.json"


def read_listing(card: Path) -> Listing | None:
    """Return the listing of a card, or None. Raises RecipeError if it is none."""
    path = listing_path(card)
    if not path.is_file():
        return None
    try:
        return read_json(path, Listing, max_bytes=MAX_BYTES)
    except (OSError, UnreadableError) as error:
        raise RecipeError(
            problem(
                "no-erasure-listing",
                "cannot be read as the listing of an erasure ({why}); move it away, and run the "
                "same command again",
                at=Place(path),
                why=error.why if isinstance(error, UnreadableError) else str(error.strerror),
            )
        ) from None


def write_listing(card: Path, listing: Listing) -> Path:
    """Write the listing of a card, on the disk when this returns."""
    path = listing_path(card)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, listing.model_dump_json(indent=1) + "\n")
    return path
