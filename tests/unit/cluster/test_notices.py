"""Warnings about a running job, from its metrics."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from finetune.cluster.chain.progress import progress_of
from finetune.cluster.follow.notices import job_notices
from tests.support.chain_by_hand import KEYS, write_chain_by_hand


@pytest.mark.parametrize(
    ("loss", "steps", "config", "warned"),
    [
        (math.log(200), 60, {"vocab_size": 200}, True),
        (9.0, 60, {"text_config": {"vocab_size": 200}}, True),
        (math.log(200), 60, {}, False),
        (math.log(200), 60, None, False),
        (math.log(200), 40, {"vocab_size": 200}, False),
        (4.0, 60, {"vocab_size": 200}, False),
    ],
)
def test_a_loss_of_guessing_is_called_diverged(tmp_path, loss, steps, config, warned):
    """After 50 steps at ln of the vocabulary or above: a learning rate of 1e6 gives no NaN."""
    chain = write_chain_by_hand(tmp_path / "store", steps=100)
    job = replace(chain.job("train"), inputs=("base/0123", "prepare/4567"))
    if config is not None:
        (tmp_path / "store/base/0123/model").mkdir(parents=True)
        path = tmp_path / "store/base/0123/model/config.json"
        path.write_text(json.dumps(config), "utf-8")
    partial = tmp_path / "store/train" / f"{KEYS['train']}.partial"
    partial.mkdir(parents=True)
    record = {"kind": "train", "loss": loss, "tokens": 1, "seconds": 0.1}
    lines = [json.dumps(record | {"step": step + 1}) for step in range(steps)]
    (partial / "metrics.jsonl").write_text("\n".join(lines), "utf-8")
    progress = progress_of(chain, job, job_id=None)
    said = job_notices(progress, state="running", started=True, purge_days=None)
    assert any("lower train.learning_rate" in notice for notice in said) == warned
    assert not job_notices(progress, state="failed", started=False, purge_days=None)
