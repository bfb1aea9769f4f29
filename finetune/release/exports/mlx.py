"""Export `mlx`: the merged model as mlx-lm keeps it, for Apple's processors.

The merged model is proven against the adapter first (`merged`). mlx-lm then converts it, and a
process that has only mlx-lm opens the result: token ids of the probes must be the same, and logits
within the limit of the number format, computed in float32. Without mlx-lm here the folder is the
merged model, which mlx-lm opens as it is by its documentation
(https://github.com/ml-explore/mlx-lm), and unchecked.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from finetune.artefacts.export_job import ExportJob
from finetune.errors import ReleaseError
from finetune.messages import problem
from finetune.release.exports.merged import LIMITS, NAMES, merge
from finetune.release.probes import distances, logits_of, probes
from finetune.spec.sections.training import Precision
from finetune.spec.tables.export_format import Export, Exported

_TIME_LIMIT_SECONDS = 3600
_CHECK = """
import json, sys
import mlx.core as mx
from mlx_lm import load
folder, asked, target = sys.argv[1:]
asked = json.load(open(asked))
model, tokenizer = load(folder)
model.set_dtype(mx.float32)
ids = [tokenizer.encode(text, add_special_tokens=True) for text in asked["texts"]]
logits = {str(n): model(mx.array(row)).astype(mx.float32) for n, row in enumerate(asked["rows"])}
mx.save_safetensors(target, logits)
json.dump(ids, sys.stdout)
"""
"""Program of the process that has only mlx-lm."""


def write(job: ExportJob) -> Exported:
    """Write the model for mlx-lm. Raises ReleaseError if it computes something else."""
    dtype = cast("Precision", job.dtype or "bf16")
    with TemporaryDirectory(dir=job.workspace.parent) as scratch:
        merged = Path(scratch) / "merged"
        merged.mkdir()
        of_merged = merge(job.source.base, job.source.adapter, merged)
        if job.source.template is not None:
            shutil.copyfile(job.source.template, merged / "chat_template.jinja")
        if find_spec("mlx_lm") is None:
            merge(job.source.base, job.source.adapter, job.workspace, dtype=dtype)
            _write_flat_rotation(job.workspace / "config.json")
            return Exported(
                summary=f"base and adapter in one model of {NAMES[dtype]} weights, for mlx-lm",
                facts={"dtype": dtype, "merged_difference": of_merged.difference},
                unchecked="mlx-lm is not installed here: pip install mlx-lm; on Linux also mlx-cpu",
            )
        _write_flat_rotation(merged / "config.json")
        converted = Path(scratch) / "converted"
        settings = ["--hf-path", str(merged), "--mlx-path", str(converted), "--dtype", NAMES[dtype]]
        _run(["-m", "mlx_lm", "convert", *settings])
        facts = _compared(merged, converted, Path(scratch), dtype=dtype, effect=of_merged.effect)
        for path in sorted(converted.iterdir()):
            if path.suffix != ".md" and path.is_file():
                shutil.move(path, job.workspace / path.name)
    return Exported(
        summary=f"base and adapter in one model of {NAMES[dtype]} weights for mlx-lm; opened by it "
        f"alone, its logits differ by at most {facts['difference']:.1g} of the largest",
        facts=facts | {"dtype": dtype, "merged_difference": of_merged.difference},
    )


def _write_flat_rotation(path: Path) -> None:
    """Write base and scaling of the rotary positions where mlx-lm reads them, too.

    transformers 5 has them in `rope_parameters`; mlx-lm 0.32 reads `rope_theta` and `rope_scaling`
    for most architectures, and takes a theta of 10,000 where the first is missing.
    """
    config = json.loads(path.read_text("utf-8"))
    rotation = config.get("rope_parameters")
    if not isinstance(rotation, dict) or "rope_theta" not in rotation:
        return  # by kind of layer, as in gemma3, which mlx-lm has rules of its own for
    config.setdefault("rope_theta", rotation["rope_theta"])
    if rotation.get("rope_type", "default") != "default":
        config.setdefault("rope_scaling", {k: v for k, v in rotation.items() if k != "rope_theta"})
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def _compared(
    merged: Path, converted: Path, scratch: Path, *, dtype: Precision, effect: float
) -> dict[str, float]:
    """Return how far the converted model is from the merged one, both opened anew."""
    from safetensors.torch import load_file

    from finetune.models.kinds import kind_of
    from finetune.models.load import load_tokenizer

    tokenizer = load_tokenizer(merged)
    rows = probes(tokenizer)
    texts = [tokenizer.decode(row[0]) for row in rows]
    model = kind_of(merged).load_base(merged, precision="fp32")
    wanted = [logits_of(model, row) for row in rows]
    del model
    asked, target = scratch / "asked.json", scratch / "logits.safetensors"
    asked.write_text(json.dumps({"texts": texts, "rows": [row.tolist() for row in rows]}), "utf-8")
    ids = json.loads(_run(["-c", _CHECK, str(converted), str(asked), str(target)]))
    if ids != [tokenizer(text)["input_ids"] for text in texts]:
        raise _differs("other token ids for the same text")
    tensors = load_file(target)
    found = [tensors[str(n)] for n in range(len(rows))]
    facts = distances(found, wanted)
    if why := LIMITS[dtype].exceeded(facts, effect=effect):
        raise _differs(why)
    return facts | {"effect": effect}


def _differs(why: str) -> ReleaseError:
    return ReleaseError(
        problem(
            "mlx-differs",
            "opened by mlx-lm it is not the merged model ({why}); nothing was written",
            why=why,
        )
    )


def _run(arguments: Sequence[str]) -> str:
    """Run this Python with its installed packages alone, offline; return what it prints."""
    variables: Mapping[str, Any] = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-I", *arguments],
            env=dict(variables),
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIME_LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise _failed("no answer within an hour") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise _failed(lines[-1][:400] if lines else f"exit code {done.returncode}")
    return done.stdout


def _failed(why: str) -> ReleaseError:
    return ReleaseError(
        problem("mlx-failed", "mlx-lm could not do it ({why}); nothing was written", why=why)
    )


EXPORT = Export(
    name="mlx",
    about="base and adapter as one model for mlx-lm on Apple's processors",
    write=write,
    dtypes=("bf16", *(dtype for dtype in LIMITS if dtype != "bf16")),
    library="mlx",
)
