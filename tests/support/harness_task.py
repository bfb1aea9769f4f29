"""Tasks of lm-evaluation-harness in a file, with data that the real command fetched from a hub."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.artefacts.job import Artifact, Job
from finetune.sources.benchmark.pins import role_of
from finetune.spec.task_file import read_task_file
from tests.support.evaluate_job import make_job
from tests.support.hub_server import HubServer
from tests.support.small_project import write_small_project
from tests.support.tiny import write_tiny_model


def fetch_task(root: Path, task: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return a project whose task `quiz.yaml` has its data of `tiny/quiz` from a hub."""
    folder = write_small_project(root)
    shutil.rmtree(folder / "model")
    write_tiny_model(folder / "model")
    (folder / "quiz.yaml").write_text(task)
    recipe = folder / "recipes/r.yaml"
    recipe.write_text(recipe.read_text() + "evaluate:\n  tasks: [quiz.yaml]\n")
    with HubServer() as hub:
        revision = hub.add("tiny/quiz", dict(files), kind="dataset")
        env = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf")}
        done = subprocess.run(
            [sys.executable, "-m", "finetune", "fetch", "recipes/r.yaml"],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr + done.stdout
    [artefact] = (folder / ".finetune/benchmark").iterdir()
    return {"folder": folder, "revision": revision, "artefact": artefact}


def job_of(fetched: Mapping[str, Any], root: Path, *, scale: float) -> Job:
    """Return an evaluation of the fetched task, of tiny models."""
    base = write_tiny_model(root / "base/model").parent
    task = fetched["folder"] / "quiz.yaml"
    job = make_job(root, base, scale=scale, tasks=[str(task)])
    result = json.loads((fetched["artefact"] / "manifest.json").read_text())["result"]
    data = Artifact("benchmark", "d", fetched["artefact"], result)
    inputs = {**job.inputs, role_of(read_task_file(task).task): data}
    return replace(job, inputs=inputs)


def write_alone(job: Job, system: str, folder: Path) -> Path:
    """Write a system as a model folder that the harness opens itself; the adapter is merged."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = job.inputs["base"].path / "model"
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if system == "adapter":
        model = PeftModel.from_pretrained(model, job.inputs["train"].path / "adapter")
        model = model.merge_and_unload()
    model.save_pretrained(folder)
    for file in base.glob("*token*"):
        shutil.copy(file, folder)
    return folder
