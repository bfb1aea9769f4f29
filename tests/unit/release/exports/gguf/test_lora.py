"""LoRA GGUF: its metadata, the scale of rsLoRA, and adapters that it cannot hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from finetune.errors import ReleaseError
from finetune.models.load import load_base
from finetune.release.exports.gguf.general_keys import Identity
from finetune.release.exports.gguf.lora import write_lora
from finetune.spec.sections.training import Lora
from tests.support.trained_adapter import write_trained

IDENTITY = Identity(
    name="hausa-adapter",
    organisation="org",
    base_id="maker/base",
    base_revision="a" * 40,
    licence="cc-by-4.0",
    languages=("hau_Latn", "wol_Latn"),
)


def changed(adapter: Path, **settings: Any) -> None:
    """Change settings of an adapter's configuration."""
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def test_a_file_says_what_the_manifests_say(tmp_path: Path) -> None:
    """Name, licence, languages and base are in it; no path of this machine is."""
    base, adapter = write_trained(tmp_path, new_tokens=False)
    write_lora(base, adapter, tmp_path / "a.gguf", identity=IDENTITY)
    fields = gguf.GGUFReader(tmp_path / "a.gguf").fields
    found = {key: field.contents() for key, field in fields.items()}
    assert found["general.name"] == "hausa-adapter"
    assert found["general.license"] == "cc-by-4.0"
    assert found["general.languages"] == ["ha", "wo"]
    assert found["general.base_model.0.repo_url"].endswith("/maker/base")
    assert found["general.base_model.0.version"] == "a" * 40
    assert str(tmp_path).encode() not in (tmp_path / "a.gguf").read_bytes()


@pytest.mark.parametrize("rslora", [False, True])
def test_scale_and_rows_make_the_update_of_peft(tmp_path: Path, rslora: bool) -> None:
    """alpha / rank times B A, its rows in the order of GGUF, is what PEFT adds to a weight."""
    lora = Lora(rank=4, alpha=6.0, rslora=rslora)
    base, adapter = write_trained(tmp_path, new_tokens=False, lora=lora)
    written = write_lora(base, adapter, tmp_path / "a.gguf", identity=IDENTITY, precision="f32")
    held = {t.name: t.data for t in gguf.GGUFReader(tmp_path / "a.gguf").tensors}
    update = held["blk.0.attn_q.weight.lora_b"] @ held["blk.0.attn_q.weight.lora_a"]
    scaled = torch.tensor(written.alpha / written.rank * update)
    from finetune.models.kinds import kind_of

    plain = load_base(base, precision="fp32")
    before = plain.model.layers[0].self_attn.q_proj.weight.detach().clone()
    model = kind_of(base).load_adapter(plain, adapter).merge_and_unload()
    added = model.model.layers[0].self_attn.q_proj.weight.detach() - before
    heads, half = 4, 8  # of tiny_model
    pairs = added.reshape(heads, 2, half, -1).transpose(1, 2).reshape(added.shape)
    assert torch.allclose(scaled, pairs, atol=1e-6)
    assert not torch.allclose(scaled, added, atol=1e-6)


def test_16_bits_are_near_32(tmp_path: Path) -> None:
    """The default halves the size; each number is within its rounding."""
    base, adapter = write_trained(tmp_path, new_tokens=False)
    sizes, held = [], []
    for precision in ("f32", "f16"):
        file = tmp_path / f"{precision}.gguf"
        write_lora(base, adapter, file, identity=IDENTITY, precision=precision)
        sizes.append(file.stat().st_size)
        held.append({t.name: t.data.astype(np.float32) for t in gguf.GGUFReader(file).tensors})
    assert sizes[1] < 0.7 * sizes[0]
    assert all(np.allclose(held[1][n], held[0][n], rtol=1e-3, atol=1e-7) for n in held[0])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"trainable_token_indices": [5, 6]}, "new tokens"),
        ({"modules_to_save": ["lm_head"]}, "lm_head"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
        ({"alpha_pattern": {"q_proj": 2}}, "alpha_pattern"),
        ({"bias": "all"}, "biases"),
        ({"lora_bias": True}, "biases"),
    ],
)
def test_what_a_lora_gguf_cannot_hold_is_refused(
    tmp_path: Path, settings: dict[str, Any], named: str
) -> None:
    """Each is named with the way out, and nothing is written."""
    base, adapter = write_trained(tmp_path, new_tokens=False)
    changed(adapter, **settings)
    with pytest.raises(ReleaseError) as refused:
        write_lora(base, adapter, tmp_path / "a.gguf", identity=IDENTITY)
    assert refused.value.codes == ("beyond-lora-gguf",)
    assert named in str(refused.value)
    assert "--format gguf " in str(refused.value)
    assert not (tmp_path / "a.gguf").exists()


def test_an_adapter_of_another_kind_says_all_that_is_in_the_way(tmp_path: Path) -> None:
    """DoRA and new tokens of a real adapter are two problems."""
    base, adapter = write_trained(tmp_path, lora=Lora(rank=4, dora=True))
    with pytest.raises(ReleaseError) as refused:
        write_lora(base, adapter, tmp_path / "a.gguf", identity=IDENTITY)
    assert refused.value.codes == ("beyond-lora-gguf",) * 2


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")
def test_matrices_of_a_shared_head_are_refused(tmp_path: Path) -> None:
    """If embedding and head are one weight, the GGUF of the base has no head."""
    lora = Lora(rank=4, target_modules=["q_proj", "lm_head"])
    base, adapter = write_trained(tmp_path, new_tokens=False, lora=lora)
    with pytest.raises(ReleaseError) as refused:
        write_lora(base, adapter, tmp_path / "a.gguf", identity=IDENTITY)
    assert "lm_head.weight" in str(refused.value)


def test_an_architecture_without_a_row_is_refused(tmp_path: Path) -> None:
    """The message names the model type, those that are known, and another way."""
    base, adapter = write_trained(tmp_path, new_tokens=False)
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"model_type": "phi3"}))
    with pytest.raises(ReleaseError) as refused:
        write_lora(base, adapter, tmp_path / "a.gguf", identity=IDENTITY)
    assert refused.value.codes == ("gguf-architecture",)
    assert "phi3" in str(refused.value)
