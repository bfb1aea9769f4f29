"""Faults put into a copy of the package, which a step on a fake GPU must notice.

`python -m tests.fake_cuda.mutations FOLDER`, FOLDER holding the copy, prints a line of JSON per
mutation. Libraries are loaded once; each mutation runs in a process forked from there, before any
gradient was computed, since torch's threads for gradients do not survive a fork.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from tests.fake_cuda import hooks

LIBRARIES = ("bitsandbytes", "peft", "accelerate", "transformers.models.llama.modeling_llama")
"""Loaded before the forks; none of them loads the package itself."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """A change of one place, the case in which it shows, and words of the fault that is found."""

    name: str
    file: str
    old: str
    new: str
    found: str
    case: Mapping[str, str] = field(default_factory=dict)


MUTATIONS = (
    Mutation(
        "a mask over all tokens",
        "models/packed_model.py",
        """            attention_mask=tokens_S.new_zeros(1, 1, 0, 0, dtype=torch.float32),
            packed=Packed(""",
        """            attention_mask=None,
            unread=Packed(""",
        "a mask over all tokens",
    ),
    Mutation(
        "the cast of a 4-bit base",
        "models/load.py",
        "    config = LoraConfig(",
        """    from peft import prepare_model_for_kbit_training

    if getattr(model, "is_quantized", False):
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    config = LoraConfig(""",
        "of products in float32",
        {"quantization": "4bit"},
    ),
    Mutation(
        "a number that the host reads",
        "models/packed_model.py",
        "        hidden_SE: Tensor = out.last_hidden_state[0]\n",
        """        hidden_SE: Tensor = out.last_hidden_state[0]
        hidden_SE.sum().item()
""",
        "waits in a micro-batch: _local_scalar_dense at finetune/models/packed_model.py",
    ),
    Mutation(
        "the head's product in float32",
        "models/head.py",
        "product = torch.mm(hidden_SE[part], weight_VE.T, out=buffer[: len(targets)])",
        """wide = buffer[: len(targets)].float()
            torch.mm(hidden_SE[part].float(), weight_VE.T.float(), out=wide)
            product = wide.to(buffer.dtype)""",
        "of products in float32",
    ),
    Mutation(
        "a copy that is not pinned",
        "models/attention/packed_batch.py",
        "held.pin_memory().to(device, non_blocking=True)",
        "held.to(device, non_blocking=True)",
        "waits in a micro-batch: copy to the GPU at finetune/models/attention/packed_batch.py",
    ),
)


def main(folder: Path) -> None:
    """Try the copy as it is and with each mutation; print what is found."""
    hooks.load()
    for library in LIBRARIES:
        import_module(library)
    print(json.dumps({"name": "", "faults": _forked(folder, {})}), flush=True)
    for mutation in MUTATIONS:
        path = folder / "finetune" / mutation.file
        text = path.read_text("utf-8")
        if text.count(mutation.old) != 1:
            found = [f"{mutation.file} has changed: write this mutation anew"]
        else:
            path.write_text(text.replace(mutation.old, mutation.new), "utf-8")
            found = _forked(folder, mutation.case)
            path.write_text(text, "utf-8")
        print(json.dumps({"name": mutation.name, "faults": found}), flush=True)


def _forked(folder: Path, case: Mapping[str, str]) -> list[str]:
    """Return the faults of a step of the copy in a folder."""
    reads, writes = os.pipe()
    if os.fork() == 0:
        with os.fdopen(writes, "w") as out:
            json.dump(_faults(folder, case), out)
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as said:
        found: list[str] = json.loads(said.read() or '["the process died"]')
    os.wait()
    return found


def _faults(folder: Path, case: Mapping[str, str]) -> list[str]:
    sys.path.insert(0, str(folder))
    try:
        step = import_module("tests.fake_cuda.step")
        tried = step.Case(**case)
        return list(step.faults(tried, step.run(tried)))
    except Exception:
        return [f"an exception: {traceback.format_exc()}"]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
