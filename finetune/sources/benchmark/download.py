"""All splits of a dataset of the Hub, for tasks; no code of it is run."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from finetune.artefacts.fetched import FetchedSplits
from finetune.artefacts.job import Job
from finetune.artefacts.results import as_json
from finetune.errors import DataError, InputError, RecipeError
from finetune.messages import Place, Sentence, problem, sentence
from finetune.sources.hub_fetch import (
    endpoint,
    explained,
    listed,
    refuse_elsewhere,
    sizes_of,
)
from finetune.spec.sections.source import HubSource


def run(job: Job) -> dict[str, Any]:
    """Fetch the splits of a data set (stage `benchmark`).

    Raises:
        RecipeError: the lock has no commit of it.
        InputError: no such dataset, commit or configuration, no access, or one with a script.
        DataError: the dataset is empty.
        StoreError: no network, or the server failed.
    """
    dataset, config, revision = (job.content[key] for key in ("dataset", "config", "revision"))
    if revision is None:
        raise RecipeError(
            problem(
                "no-locked-commit",
                "the lock has no commit of {dataset!r}, the data of a task; `finetune fetch` "
                "writes it",
                at=Place(key="evaluate.tasks"),
                dataset=dataset,
            )
        )
    rows = fetch_splits(dataset, config, revision, workspace=job.workspace)
    return as_json(FetchedSplits(dataset, revision, config, rows))


def newest(dataset: str, config: str | None) -> dict[str, Any]:
    """Return a lock entry of a dataset: its newest commit, and the files of a configuration.

    Raises InputError for a dataset that does not exist, is not open, or is loaded by a script.
    """
    from huggingface_hub import HfApi

    what, page = _named(dataset), f"{endpoint()}/datasets/{dataset}"
    api = HfApi(endpoint=endpoint())
    revision = explained(lambda: api.dataset_info(dataset).sha, what=what, page=page)
    source = HubSource(kind="hub", dataset=dataset, revision=revision, config=config)
    explained(lambda: refuse_elsewhere(source, what=what), what=what, page=page)
    files = explained(lambda: _files(dataset, config, str(revision)), what=what, page=page)
    return {
        "kind": "hub dataset",
        "id": dataset,
        "config": config,
        "revision": revision,
        "files": files,
    }


def fetch_splits(
    dataset: str, config: str | None, revision: str, *, workspace: Path
) -> dict[str, int]:
    """Write every split of a configuration to `SPLIT.parquet`; return their numbers of rows."""
    import datasets

    what, page = _named(dataset), f"{endpoint()}/datasets/{dataset}"
    datasets.disable_progress_bars()
    tree = explained(lambda: listed(dataset, revision, kind="dataset"), what=what, page=page)
    _refuse_script(dataset, tree)
    source = HubSource(kind="hub", dataset=dataset, revision=revision, config=config)
    sizes = sizes_of(tree)
    explained(lambda: refuse_elsewhere(source, what=what), what=what, page=page, sizes=sizes)
    scratch = workspace / ".download"
    splits = explained(
        lambda: datasets.load_dataset(dataset, config, revision=revision, cache_dir=str(scratch)),
        what=what,
        page=page,
        sizes=sizes,
    )
    rows = {str(name): int(table.num_rows) for name, table in splits.items()}
    if not sum(rows.values()):
        raise DataError(problem("no-rows", "{what}: it has no rows", what=what))
    for name, table in splits.items():
        table.to_parquet(workspace / f"{name}.parquet")
    del splits, table  # they map files of the scratch folder
    shutil.rmtree(scratch)
    return rows


def _named(dataset: str) -> Sentence:
    return sentence("evaluate.tasks: dataset {repo!r}", repo=dataset)


def _files(dataset: str, config: str | None, revision: str) -> dict[str, str]:
    """Return the data files of a configuration, with SHA-256 (LFS) or the hash of Git."""
    tree = listed(dataset, revision, kind="dataset")
    _refuse_script(dataset, tree)
    import datasets

    with TemporaryDirectory() as scratch:
        builder = datasets.load_dataset_builder(
            dataset, config, revision=revision, cache_dir=scratch
        )
        named = [
            str(file) for files in (builder.config.data_files or {}).values() for file in files
        ]
    paths = {file.partition("@")[2].partition("/")[2] for file in named}
    return {
        path: f"sha256:{entry.lfs.sha256}" if entry.lfs else f"git:{entry.blob_id}"
        for path, entry in sorted(tree.items())
        if path in paths
    }


def _refuse_script(dataset: str, tree: dict[str, Any]) -> None:
    script = f"{dataset.rpartition('/')[2]}.py"
    if script in tree:
        raise InputError(
            problem(
                "dataset-script",
                "{what}: it is loaded by a script, {script}, and no code of a hub is run; choose "
                "another task, or ask its owners for data files",
                what=_named(dataset),
                script=script,
            )
        )
