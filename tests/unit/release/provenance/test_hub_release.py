"""Releases fetched from a hub, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune.errors import InputError
from finetune.release.provenance import hub_release
from finetune.release.provenance.checksum_list import refuse_changed
from finetune.release.provenance.hub_release import fetch_release
from finetune.sources.tar_stream import shown
from tests.support.hub_server import HubServer
from tests.support.problems import raises
from tests.support.provenance_folder import provenance_job, written
from tests.support.published import snapshot
from tests.support.surroundings import Variables

REPO = "amina/hausa-lora"


@pytest.fixture
def hub(tmp_path: Path, variables: Variables) -> Iterator[HubServer]:
    with HubServer() as server:
        variables(
            HF_ENDPOINT=server.url, HF_TOKEN=server.token("amina"), HF_HOME=str(tmp_path / "hf")
        )
        yield server


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    return snapshot(written(provenance_job(tmp_path / "made")))


def test_a_release_is_fetched_at_a_commit_and_nothing_else(
    hub: HubServer, files: dict[str, bytes], tmp_path: Path
) -> None:
    """By tag or commit; code and pickles that lie beside it stay where they are."""
    code = {"modeling.py": b"raise SystemExit", "adapter.bin": b"pickle", "provenance/x.py": b""}
    first = hub.add(REPO, files | code)
    repo = hub.repos[("model", REPO)]
    repo.tags["v1"] = first
    repo.commit({**files, "README.md": b"changed"}, "later")
    assert fetch_release(REPO, "v1", tmp_path / "got") == first
    assert snapshot(tmp_path / "got") == files
    assert refuse_changed(tmp_path / "got")
    assert not [path for _, path in hub.requests if path.endswith((".py", ".bin"))]


def test_a_release_of_before_and_a_missing_one_are_refused(hub: HubServer, tmp_path: Path) -> None:
    """The message names which; nothing is written."""
    hub.add(REPO, {"README.md": b"", "adapter_model.safetensors": b""})
    with raises(InputError, code="release-without-provenance"):
        fetch_release(REPO, None, tmp_path / "got")
    with raises(InputError, code="hub-not-found"):
        fetch_release("amina/none", None, tmp_path / "got")
    assert not (tmp_path / "got").exists()


def test_no_file_is_taken_that_is_too_large_or_named_out_of_the_folder(
    hub: HubServer,
    files: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the list of the server, before any of it is fetched."""
    monkeypatch.setattr(hub_release, "MAX_FILE_BYTES", 2**16)
    odd = {"provenance/../../up.json": b"{}", "provenance/large.json": bytes(2**16 + 1)}
    hub.add(REPO, files | odd)
    with pytest.raises(InputError) as refused:
        fetch_release(REPO, None, tmp_path / "got")
    assert {str(p.facts["name"]) for p in refused.value.problems} == {shown(name) for name in odd}
    assert not (tmp_path / "got").exists()
