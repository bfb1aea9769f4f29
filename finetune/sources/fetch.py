"""The stage that fetches the corpus of a data card: from a hub, the web or an npm package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finetune.artefacts.fetched import (
    FetchedCollective,
    FetchedFile,
    FetchedFiles,
    FetchedPackage,
)
from finetune.artefacts.job import Job
from finetune.artefacts.results import as_json
from finetune.errors import DataError, InputError, RecipeError
from finetune.messages import Place, problem, sentence
from finetune.output.console import Console
from finetune.sources import npm
from finetune.sources.data_collective.archive import fetch_files as fetch_collective
from finetune.sources.hub_fetch import endpoint, fetch_dataset
from finetune.sources.web import NotServedError, download
from finetune.spec.sections.source import (
    HubSource,
    MdcSource,
    PackageSource,
    UrlFile,
    UrlSource,
)


def run_corpus(job: Job) -> dict[str, Any]:
    """Fetch the corpus of the one card of `job.cards` (stage `corpus`).

    A Hub dataset becomes `data.parquet`; files of the web, of npm packages and of Mozilla Data
    Collective keep the path that the card gives them.

    Raises:
        InputError: no such dataset, commit, configuration, split, address or package, or no access.
        DataError: the dataset is empty, or a file has another checksum than the card states.
        StoreError: no network, or the server failed.
    """
    [(name, card)] = job.cards.items()
    source = card.corpus.source
    if isinstance(source, UrlSource):
        fetched = tuple(
            fetch_url(file, job.workspace, card=name, console=job.console) for file in source.files
        )
        return as_json(FetchedFiles(fetched))
    if isinstance(source, PackageSource):
        pins = {file.path: file.sha256 for file in source.files}
        integrity = npm.fetch_files(source.package, pins, job.workspace, console=job.console)
        return as_json(
            FetchedPackage(source.package, source.registry, files=pins, integrity=integrity)
        )
    if isinstance(source, MdcSource):
        pins = {file.path: file.sha256 for file in source.files}
        fetch_collective(source.dataset, source.sha256, pins, job.workspace)
        return as_json(FetchedCollective(source.dataset, source.sha256, files=pins))
    assert isinstance(source, HubSource)  # noqa: S101, plan.py makes this step for fetched cards
    if source.revision is None:
        page = f"{endpoint()}/datasets/{source.dataset}/commits/main"
        raise RecipeError(
            problem(
                "no-revision",
                "the card pins no commit of {repo!r} (its authors could not establish one); choose "
                "one on {page}, write it into the card and fetch again",
                at=Place(card.path, key="corpus.source.revision"),
                repo=source.dataset,
                page=page,
            )
        )
    return as_json(fetch_dataset(source, job.workspace, card=name))


def fetch_url(file: UrlFile, workspace: Path, *, card: str, console: Console) -> FetchedFile:
    """Stream one file of the web into the workspace, and check it; partial files are removed.

    Raises:
        InputError: no such file, an address that leads elsewhere than it may, or too large a file.
        DataError: another checksum than the card states.
        StoreError: no network, the server failed, or hardly sends anything.
    """
    at = Place(part=sentence("card {card!r}: {address}", card=card, address=file.url))
    target = workspace / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        digest = download(file.url, target, at=at, label=file.path, console=console)
    except NotServedError as error:
        raise InputError(
            problem(
                "not-served",
                "the server answered HTTP {status:d}; check the address in the card",
                at=at,
                status=error.status,
            )
        ) from None
    if digest != file.sha256:
        target.unlink()
        raise DataError(
            problem(
                "wrong-checksum",
                "sha256 is {actual}, the card states {stated}; the file has changed, look at it "
                "before you correct the card",
                at=at,
                actual=digest,
                stated=file.sha256,
            )
        )
    return FetchedFile(file.path, file.url, file.sha256)
