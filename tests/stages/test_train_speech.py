"""The seam for speech: the real stage trains a tiny random Whisper by a row of the table alone.

Sounds are tones, one per token of what is said, as log-mel features beside the packed split. No
recipe and no card has speech yet (docs/data/speech.md); this holds the seam open for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from finetune.artefacts.job import Artifact
from finetune.artefacts.packed_split import PackedSplit, open_split
from finetune.chat.systems import load_systems
from finetune.chat.talk import Manner
from finetune.models import kinds
from finetune.models.generate import Decoding
from finetune.models.kinds import Kind, kind_of
from finetune.models.packed_model import Sizes
from finetune.train.run import run
from tests.support.results import base_result
from tests.support.surroundings import Constants
from tests.support.tiny import tiny_tokenizer
from tests.support.toy_kinds import OneByOne, scores_of, stop_in_step_five
from tests.support.training_job import LANGUAGES, adapter_digest, make_job, write_inputs

pytestmark = pytest.mark.slow

VOCABULARY, MELS, SECONDS, RATE = 200, 8, 1, 16_000
FEATURES = "features.npy"
FAST = {"max_steps": 16, "learning_rate": 0.1}
ONE = {"micro_batch_size": 1}
EAR = WhisperFeatureExtractor(feature_size=MELS, chunk_length=SECONDS, sampling_rate=RATE)


@dataclass(frozen=True, slots=True)
class Spoken(PackedSplit):
    """A packed split of what is said, with the sound of each of its D documents."""

    features_DMF: NDArray[np.float32]
    """Log-mel features: D documents, M mel bands, F frames."""


@dataclass(frozen=True)
class Utterance:
    """One document: what is heard, what is to be written."""

    features_MF: NDArray[np.float32]
    target: list[int]


def sound_of(tokens: Sequence[int]) -> NDArray[np.float32]:
    """Return a second of tones, one per token, as features of Whisper: (M, F)."""
    each = RATE * SECONDS // max(len(tokens), 1)
    times = np.arange(each) / RATE
    wave = [np.sin(2 * np.pi * (200 + 20 * int(token)) * times) for token in tokens]
    found = EAR(np.concatenate(wave), sampling_rate=RATE, return_tensors="np")
    return found["input_features"][0].astype(np.float32)


def open_spoken(folder: Path, **names: Any) -> Spoken:
    """Open a split, and the sounds beside it."""
    split = open_split(folder, **names)
    parts = {name: getattr(split, name) for name in PackedSplit.__dataclass_fields__}
    return Spoken(**parts, features_DMF=np.load(folder / FEATURES, mmap_mode="r"))


def utterances(split: Spoken, records: Sequence[int]) -> list[Utterance]:
    """Return documents of a split; the first token of each is where the decoder starts."""
    return [
        Utterance(np.array(split.features_DMF[n]), split.token_ids_of(int(n))[1:]) for n in records
    ]


def of_rows(split: Spoken, rows: Sequence[int], **_: Any) -> list[Utterance]:
    """Return the documents of rows; a step at the end of an epoch may have a row twice."""
    return [
        one
        for row in rows
        for one in utterances(split, np.flatnonzero(split.documents_D["row"] == row))
    ]


def listener(model: nn.Module) -> OneByOne:
    """Return a Whisper as training sees it: the nll of what is said, given its sound."""
    return OneByOne(
        model,
        inputs_of=lambda one: {"input_features": torch.from_numpy(one.features_MF)[None]},
        idle=Utterance(np.zeros((MELS, 100 * SECONDS), np.float32), [1]),
        layers=["WhisperEncoderLayer", "WhisperDecoderLayer"],
    )


def score_spoken(model: Any, split: Spoken, *, records: Any, **_: Any) -> NDArray[np.float64]:
    """Return the nll of each record, one at a time."""
    return scores_of(model, utterances(split, records))


def transcribe(
    model: Any, tokenizer: Any, prompts: list[str], *, decoding: Decoding, **_: Any
) -> list[str]:
    """Write what is heard; a prompt is the file of a sound."""
    del tokenizer
    found = []
    for prompt in prompts:
        heard = torch.from_numpy(np.load(prompt))[None]
        ids = torch.zeros((1, 1), dtype=torch.long)
        states = model.get_encoder()(heard)
        for _ in range(decoding.max_new_tokens):
            logits = model(encoder_outputs=states, decoder_input_ids=ids).logits
            ids = torch.cat([ids, logits[:, -1:].argmax(-1)], dim=1)
        found.append(" ".join(str(token) for token in ids[0, 1:].tolist()))
    return found


def load(directory: Path, **_: Any) -> Any:
    """Return the frozen Whisper in a folder."""
    return WhisperForConditionalGeneration.from_pretrained(directory).requires_grad_(False).eval()


def attach(model: Any, lora: Any, *, seed: int, **_: Any) -> Any:
    """Put a fresh adapter on values, outputs of the attention and of the feed-forward part."""
    torch.manual_seed(seed)
    settings: dict[str, Any] = {"r": lora.rank, "lora_alpha": lora.alpha}
    config = LoraConfig(target_modules=["v_proj", "out_proj", "fc2"], **settings)
    return get_peft_model(model, config).train()


SPEECH = Kind(
    name="speech encoder-decoder",
    takes=lambda config: config.get("model_type") == "whisper",
    load_base=load,
    attach_lora=attach,
    load_adapter=lambda model, folder: PeftModel.from_pretrained(model, str(folder)).eval(),
    wrap=listener,
    open_split=open_spoken,
    make_batch=of_rows,
    idle_batch=lambda _: [],
    score=score_spoken,
    generate=transcribe,
    context_tokens=lambda _: None,
    sizes=lambda _: Sizes(layers=2, hidden=32, vocabulary=VOCABULARY),
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """A corpus of packed rows with sounds, and a tiny Whisper in the base's place."""
    folder = tmp_path_factory.mktemp("speech")
    found = write_inputs(folder)
    for name in ("train", "validation"):
        split = open_split(folder / "prepare" / name, languages=LANGUAGES, cards=LANGUAGES)
        sounds = [sound_of(split.token_ids_of(n)[1:]) for n in range(len(split.documents_D))]
        np.save(folder / "prepare" / name / FEATURES, np.stack(sounds))
    torch.manual_seed(0)
    sizes = {"d_model": 32, "num_mel_bins": MELS, "max_source_positions": 50 * SECONDS}
    sizes |= {f"{part}_{what}": 2 for part in ("encoder", "decoder") for what in ("layers",)}
    sizes |= {f"{part}_attention_heads": 2 for part in ("encoder", "decoder")}
    sizes |= {f"{part}_ffn_dim": 64 for part in ("encoder", "decoder")}
    ids = {"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 0}
    config = WhisperConfig(
        vocab_size=VOCABULARY, max_target_positions=32, init_std=0.3, **sizes, **ids
    )
    WhisperForConditionalGeneration(config).save_pretrained(folder / "whisper/model")
    return found | {"base": Artifact("base", "b", folder / "whisper", base_result())}


@pytest.fixture(autouse=True)
def _with_speech(constants: Constants) -> None:
    constants(kinds, KINDS=(*kinds.KINDS, SPEECH))


def test_a_speech_base_trains_stops_resumes_and_writes_by_a_row_of_the_table(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """Its loss falls, it resumes to the same bits, and its adapter loads and transcribes."""
    assert kind_of(inputs["base"].path / "model") is SPEECH
    whole = run(make_job(tmp_path / "whole", inputs, train=FAST, run=ONE))
    assert whole["loss_last"] < whole["loss_first"] - 0.2
    assert set(whole["validation_bits_per_byte"]) == set(LANGUAGES)

    stop_in_step_five(make_job(tmp_path / "again", inputs, train=FAST, run=ONE))
    run(make_job(tmp_path / "again", inputs, train=FAST, run=ONE))
    assert adapter_digest(tmp_path / "again") == adapter_digest(tmp_path / "whole")

    config = json.loads((tmp_path / "whole/adapter/adapter_config.json").read_text())
    assert sorted(config["target_modules"]) == ["fc2", "out_proj", "v_proj"]
    sound = tmp_path / "sound.npy"
    np.save(sound, sound_of([101, 105, 110]))
    systems = load_systems(
        inputs["base"].path / "model",
        tmp_path / "whole/adapter",
        tokenizer=tiny_tokenizer(),
        manner=Manner(max_new_tokens=3, threads=1, chat_template="plain"),
    )
    answers = {
        name: answer(str(sound), lambda _: None) for name, answer in systems.generators.items()
    }
    assert set(answers) == {"base", "adapter"}
    assert [100 <= int(token) < 120 for token in answers["adapter"].split()] == [True] * 3, answers
    assert answers["adapter"] != answers["base"]


def test_the_loss_of_a_step_is_the_same_for_any_micro_batch(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """The sum over the supervised tokens of all its documents, divided by their number."""
    losses = []
    for rows in (1, 4):
        job = make_job(tmp_path / str(rows), inputs, run={"micro_batch_size": rows})
        losses.append(run(job)["loss_last"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_what_is_heard_decides_what_is_expected(inputs: dict[str, Artifact]) -> None:
    """The features reach the loss: another sound gives the same words another nll."""
    model = listener(load(inputs["base"].path / "model"))
    words = [101, 105, 110]
    right = model.score([Utterance(sound_of(words), words)])
    wrong = model.score([Utterance(sound_of([119, 118, 117]), words)])
    assert not torch.allclose(right, wrong)
