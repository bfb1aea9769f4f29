"""Environment variables of libraries, set before they are imported."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

TELEMETRY = {
    "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub, and with it transformers and datasets
    "MLFLOW_DISABLE_TELEMETRY": "true",  # mlflow/telemetry/utils.py
    "WANDB_ERROR_REPORTING": "false",  # wandb/env.py: reports of its own errors
    "DO_NOT_TRACK": "true",  # what else follows donottrack.sh; MLflow wants this very word
}
"""Switches that keep libraries from reporting how they are used. Of those that `finetune` imports,
no other has one: accelerate, peft, deepspeed, bitsandbytes, lm_eval and trackio send nothing."""

_ENVIRONMENT = {
    **TELEMETRY,
    # GNU OpenMP's threads spin while they wait, which costs a busy machine most of its speed
    # (measured: 1.7 against 8.8 tokens/s beside one other process).
    "OMP_WAIT_POLICY": "passive",
    "TOKENIZERS_PARALLELISM": "false",  # forks warn otherwise; tokenizing is not the slow part
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    # bars of libraries would be drawn over ours, and fill logs
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # cuBLAS repeats its results only with this
    # DDP warns of a setting that is meant (finetune/train/sharding.py); failures raise errors
    "TORCH_CPP_LOG_LEVEL": "ERROR",
}

_ALLOCATOR = "PYTORCH_ALLOC_CONF"
_ALLOCATOR_BEFORE = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF")
"""Its names in earlier releases of torch; it still reads them."""


def wanted(given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to set beside those that people set themselves."""
    settings = dict(_ENVIRONMENT)
    if not any(name in given for name in _ALLOCATOR_BEFORE):
        # Every micro-batch has another length: in segments of fixed sizes memory of a GPU would be
        # lost to gaps (axolotl's PR 2183 holds 27 GB instead of 37).
        settings[_ALLOCATOR] = "expandable_segments:True"
    return {name: value for name, value in settings.items() if name not in given}


def configure_libraries(*, verbose: bool) -> None:
    """Set what people may override in the environment; without `verbose`, silence chatter."""
    os.environ.update(wanted(os.environ))
    if verbose:
        return
    for name in ("bitsandbytes", "deepspeed", "DeepSpeed", "accelerate", "mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # deepspeed sets its own logger's level when imported; nothing below an error is for users
    logging.getLogger("DeepSpeed").addFilter(lambda record: record.levelno >= logging.ERROR)
    import warnings

    # `is_gradient_checkpointing`: PEFT 0.21 asks transformers 5.23 by the old name
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")
    # torch 2.13 renames what Accelerate 1.15 and DeepSpeed 0.19 call
    warnings.filterwarnings("ignore", message=r".*`torch\.distributed\.\w+` is deprecated")
    warnings.filterwarnings("ignore", message=".*`broadcast_buffers` is deprecated")
