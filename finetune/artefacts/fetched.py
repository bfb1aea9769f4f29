"""Typed results of the stage `corpus`: a dataset of the Hub, files of the web, an npm package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FetchedDataset:
    """Result of the stage `corpus` for a dataset of the Hub."""

    dataset: str
    revision: str | None
    config: str | None
    split: str
    rows: int
    columns: tuple[str, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class FetchedSplits:
    """Result of the stage `benchmark`: all splits of a dataset of the Hub."""

    dataset: str
    revision: str
    config: str | None
    rows: Mapping[str, int]
    """By split."""


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file of the web, with its path inside the artefact."""

    path: str
    url: str
    sha256: str


@dataclass(frozen=True, slots=True)
class FetchedFiles:
    """Result of the stage `corpus` for files of the web."""

    files: tuple[FetchedFile, ...]


@dataclass(frozen=True, slots=True)
class FetchedPackage:
    """Result of the stage `corpus` for an npm package."""

    package: str
    registry: str
    files: Mapping[str, str]
    """Path -> sha256."""
    integrity: str = ""
    """Checksum of the archive, `sha512-BASE64` as in npm's lock files; empty in older artefacts."""


@dataclass(frozen=True, slots=True)
class FetchedCollective:
    """Result of the stage `corpus` for a data set of Mozilla Data Collective."""

    dataset: str
    sha256: str
    """Of the archive."""
    files: Mapping[str, str]
    """Path -> sha256."""
