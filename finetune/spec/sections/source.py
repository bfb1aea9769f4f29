"""Sources of a corpus in a data card: files, packages, data sets of the Hub, web addresses."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from finetune.errors import Unfit
from finetune.messages import Place, problem
from finetune.spec.section import Section
from finetune.spec.sections.base_model import RepoId, Revision
from finetune.spec.values.web_address import FetchedAddress

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def _inside(path: str) -> str:
    r"""Refuse a path that leaves its folder, on any system.

    >>> _inside("texts/a.txt")
    'texts/a.txt'
    """
    parts = path.split("/")
    if path.startswith(("/", "~")) or ".." in parts or "\\" in path or path[1:2] == ":":
        raise Unfit(
            problem(
                "path-outside",
                "{path!r} leaves the folder; name a file inside it, with `/` between",
                path=path,
            )
        )
    if not path.isprintable() or "" in parts:
        raise Unfit(
            problem("odd-path", "{path!r} has an empty part or an invisible character", path=path)
        )
    return path


InnerPath = Annotated[str, AfterValidator(_inside)]


class File(Section):
    """One file of a corpus. `path` is relative to the card, or to site-packages for a package."""

    path: InnerPath
    """Path of the file; may not leave the folder of the card (or of the package)."""
    sha256: Sha256
    """Checksum of the file: `sha256sum FILE`."""


class LocalSource(Section):
    """Files beside the card."""

    kind: Literal["files"]
    files: Annotated[list[File], Field(min_length=1)]
    """The files, read in this order."""


_PYPI = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9._+-]+")
_NPM = re.compile(
    r"(@[a-z0-9][a-z0-9._~-]*/)?[a-z0-9][a-z0-9._~-]*==[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?"
)


class PackageSource(Section):
    """Files inside a package of an exact version: an installed Python package, or one of npm."""

    kind: Literal["package"]
    package: str
    """Name and exact version, e.g. `kolibri==0.19.5`."""
    registry: Literal["pypi", "npm"] = "pypi"
    """`pypi`: an installed Python package. `npm`: `finetune fetch` gets it from the registry."""
    files: Annotated[list[File], Field(min_length=1)]
    """The files, read in this order; paths start at site-packages, those of npm with `package/`."""

    @property
    def is_installed(self) -> bool:
        """Return whether the files lie in site-packages, rather than being fetched."""
        return self.registry == "pypi"

    @model_validator(mode="after")
    def _exact(self) -> PackageSource:
        if not (_PYPI if self.is_installed else _NPM).fullmatch(self.package):
            raise Unfit(
                problem(
                    "no-exact-version",
                    "{package!r} is no NAME==VERSION of {registry}; write the exact version, for "
                    "example kolibri==0.19.5",
                    at=Place(key="package"),
                    package=self.package,
                    registry=self.registry,
                )
            )
        return self


class HubSource(Section):
    """A dataset on the Hub at a pinned revision."""

    kind: Literal["hub"]
    dataset: RepoId
    """Dataset id, `org/name`."""
    revision: Revision | None = None
    """Commit of the dataset (40 hex digits). Without it the corpus cannot be fetched, and
    `not_established` must list `source.revision`."""
    config: str | None = None
    """Configuration of the dataset, if it has several."""
    split: str = "train"
    """Split to read."""


class UrlFile(Section):
    """One file on the web, fetched once by `finetune fetch`."""

    url: FetchedAddress
    """Address; only https, http from a machine of your own network. No password, no signature: it
    is published."""
    path: InnerPath
    """Name of the file in messages and reports."""
    sha256: Sha256
    """Checksum of the file."""


class UrlSource(Section):
    """Files on the web."""

    kind: Literal["url"]
    files: Annotated[list[UrlFile], Field(min_length=1)]
    """The files, read in this order."""


class MdcSource(Section):
    """A data set of Mozilla Data Collective, at one version of its archive."""

    kind: Literal["mdc"]
    dataset: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{8,64}$")]
    """Identifier of the data set: the last part of the address of its page."""
    sha256: Sha256
    """Checksum of the archive; `finetune cards mdc` writes it."""
    files: Annotated[list[File], Field(min_length=1)]
    """The files in the archive, read in this order."""


Source = Annotated[
    LocalSource | PackageSource | HubSource | UrlSource | MdcSource, Field(discriminator="kind")
]
