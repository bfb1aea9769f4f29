"""A model folder that looks whole and holds one number: for what looks at a base and loads none."""

from __future__ import annotations

import json
import struct
from pathlib import Path


def write_small_model(folder: Path) -> None:
    """Write config.json, weights and a tokenizer that `finetune check` accepts."""
    folder.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    (folder / "model.safetensors").write_bytes(
        struct.pack("<Q", len(header)) + header + struct.pack("<f", 0.5)
    )
