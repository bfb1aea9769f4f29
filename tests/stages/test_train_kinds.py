"""The seam for other kinds of base: the real stage trains a tiny encoder-decoder by a row alone."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import T5Config, T5ForConditionalGeneration

import finetune
from finetune.artefacts.job import Artifact
from finetune.artefacts.packed_split import PackedSplit, open_split
from finetune.chat.systems import load_systems
from finetune.chat.talk import Manner
from finetune.errors import RecipeError
from finetune.models import kinds
from finetune.models.generate import Decoding
from finetune.models.kinds import CAUSAL, Kind, kind_of
from finetune.models.packed_model import Sizes
from finetune.train.run import run
from tests.support.results import base_result
from tests.support.surroundings import Constants
from tests.support.tiny import tiny_tokenizer
from tests.support.toy_kinds import OneByOne, scores_of, stop_in_step_five
from tests.support.training_job import CARDS, LANGUAGES, adapter_digest, make_job, write_inputs

VOCABULARY = 200


@dataclass(frozen=True)
class Pair:
    """One document: what the encoder reads, what the decoder has to write."""

    source: list[int]
    target: list[int]


def pair_model(model: nn.Module) -> OneByOne:
    """Return a T5 as training sees it: the nll of a target given its source."""
    return OneByOne(
        model,
        inputs_of=lambda pair: {"input_ids": torch.tensor([pair.source])},
        idle=Pair([1], [1]),
        layers=["T5Block"],
    )


def _pair(split: PackedSplit, record: Any) -> Pair:
    """Read a document as a pair: its first token, and its others."""
    inside = slice(int(record["start"]), int(record["start"]) + int(record["length"]))
    tokens = split.tokens_NT[int(record["row"])][inside].astype(int).tolist()
    return Pair(tokens[:1], tokens[1:])


def pairs_of(split: PackedSplit, rows: Sequence[int], **_: Any) -> list[Pair]:
    """Return the documents of rows."""
    return [
        _pair(split, record)
        for row in rows
        for record in split.documents_D[split.documents_D["row"] == row]
    ]


def score_pairs(model: Any, split: PackedSplit, *, records: Any, **_: Any) -> np.ndarray:
    """Return the nll of each record, one at a time."""
    return scores_of(model, [_pair(split, record) for record in split.documents_D[records]])


def write_pairs(
    model: Any, tokenizer: Any, prompts: list[str], *, decoding: Decoding, **_: Any
) -> list[str]:
    """Answer each prompt by the decoder."""
    found = []
    for prompt in prompts:
        ids = torch.tensor([tokenizer.encode(prompt)]) % VOCABULARY
        out = model.generate(input_ids=ids, max_new_tokens=decoding.max_new_tokens)
        found.append(f"{len(out[0])} tokens by an encoder-decoder")
    return found


def load(directory: Path, **_: Any) -> Any:
    """Return the frozen T5 in a folder."""
    return T5ForConditionalGeneration.from_pretrained(directory).requires_grad_(False).eval()


def attach(model: Any, lora: Any, *, seed: int, **_: Any) -> Any:
    """Put a fresh adapter on queries and values."""
    torch.manual_seed(seed)
    settings: dict[str, Any] = {"r": lora.rank, "lora_alpha": lora.alpha}
    config = LoraConfig(task_type="SEQ_2_SEQ_LM", target_modules=["q", "v"], **settings)
    return get_peft_model(model, config).train()


PAIRS = Kind(
    name="encoder-decoder",
    takes=lambda config: bool(config.get("is_encoder_decoder")),
    load_base=load,
    attach_lora=attach,
    load_adapter=lambda model, folder: PeftModel.from_pretrained(model, str(folder)).eval(),
    wrap=pair_model,
    open_split=open_split,
    make_batch=pairs_of,
    idle_batch=lambda _: [],
    score=score_pairs,
    generate=write_pairs,
    context_tokens=lambda _: None,
    sizes=lambda _: Sizes(layers=4, hidden=32, vocabulary=VOCABULARY),
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """A corpus of packed rows, and a tiny T5 in the base's place."""
    folder = tmp_path_factory.mktemp("pairs")
    found = write_inputs(folder)
    torch.manual_seed(0)
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    config = T5Config(vocab_size=VOCABULARY, decoder_start_token_id=0, dropout_rate=0.0, **sizes)
    T5ForConditionalGeneration(config).save_pretrained(folder / "t5/model")
    return found | {"base": Artifact("base", "b", folder / "t5", base_result())}


@pytest.fixture
def _with_pairs(constants: Constants) -> None:
    constants(kinds, KINDS=(*kinds.KINDS, PAIRS))


@pytest.mark.usefixtures("_with_pairs")
@pytest.mark.slow
def test_an_encoder_decoder_trains_by_a_row_of_the_table(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """The stage trains it, chooses by validation and writes an adapter that PEFT loads to the
    validated score; nothing of the loop was changed."""
    result = run(make_job(tmp_path, inputs, train={"max_steps": 16, "learning_rate": 0.05}))
    assert result["loss_last"] < result["loss_first"] - 0.2
    assert set(result["validation_bits_per_byte"]) == set(LANGUAGES)
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert config["task_type"] == "SEQ_2_SEQ_LM"
    model = PAIRS.wrap(
        PAIRS.load_adapter(load(inputs["base"].path / "model"), tmp_path / "adapter")
    )
    names = {"languages": LANGUAGES, "cards": CARDS}
    split = open_split(inputs["prepare"].path / "validation", **names)
    nll_D = score_pairs(model, split, records=np.arange(len(split.documents_D))).sum(axis=1)
    for number, language in enumerate(LANGUAGES):
        mine = split.documents_D["language"] == number
        sizes = split.documents_D["supervised_bytes"][mine].sum()
        bits = nll_D[mine].sum() / np.log(2) / sizes
        assert bits == pytest.approx(result["validation_bits_per_byte"][language], rel=1e-5)


@pytest.mark.usefixtures("_with_pairs")
@pytest.mark.slow
def test_its_loss_is_that_of_the_step_and_it_resumes_to_the_same_bits(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """Loss over supervised tokens whatever the micro-batch, and a stopped training goes on."""
    losses = []
    for rows in (1, 4):
        job = make_job(tmp_path / str(rows), inputs, run={"micro_batch_size": rows})
        losses.append(run(job)["loss_last"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    stop_in_step_five(make_job(tmp_path / "again", inputs, run={"micro_batch_size": 1}))
    run(make_job(tmp_path / "again", inputs, run={"micro_batch_size": 1}))
    assert adapter_digest(tmp_path / "again") == adapter_digest(tmp_path / "1")


@pytest.mark.usefixtures("_with_pairs")
def test_chat_answers_by_the_row(tmp_path: Path, inputs: dict[str, Artifact]) -> None:
    """Base and adapter write by the functions of their kind."""
    run(make_job(tmp_path, inputs, train={"max_steps": 1}))
    systems = load_systems(
        inputs["base"].path / "model",
        tmp_path / "adapter",
        tokenizer=tiny_tokenizer(),
        manner=Manner(max_new_tokens=4, threads=1),
    )
    assert set(systems.generators) == {"base", "adapter"}
    assert systems.fits("a" * 9999)
    for answer in systems.generators.values():
        assert answer("Ina kwana?", lambda _: None).endswith("tokens by an encoder-decoder")


def test_a_base_of_no_kind_is_refused_before_it_is_loaded(
    tmp_path: Path, inputs: dict[str, Artifact]
) -> None:
    """Without its row the same base is an error that names what there is."""
    with pytest.raises(RecipeError) as refused:
        run(make_job(tmp_path, inputs))
    assert refused.value.codes == ("unknown-kind",)
    assert refused.value.problems[0].facts["model_type"] == "t5"
    assert kind_of(write_inputs(tmp_path / "causal")["base"].path / "model") is CAUSAL


def test_stages_know_no_architecture() -> None:
    """Training, evaluation, exports and chat name neither the packed model nor what makes a model
    causal, nor the packed split, nor the sizes in a configuration; they ask the table. GGUF files
    of the architectures in their own table hold these settings one by one."""
    barred = {"packed_model", "PackedModel", "PackedBatch", "causal_lm_of", "get_decoder"}
    barred |= {"CAUSAL", "CAUSAL_LM", "AutoModelForCausalLM", "score_documents"}
    barred |= {"PackedSplit", "tokens_NT", "segments_NT", "supervised_NT", "num_hidden_layers"}
    barred |= {"import open_split", "import load_base", "import load_adapter", "import attach_lora"}
    found = []
    for room in ("train", "chat", "evaluate", "release"):
        for path in sorted((Path(finetune.__file__).parent / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = {getattr(node, "id", None), getattr(node, "attr", None)}
                names |= {getattr(node, "value", None)} if isinstance(node, ast.Constant) else set()
                if isinstance(node, ast.ImportFrom):
                    names |= {n.name for n in node.names} | {str(node.module).split(".")[-1]}
                    names |= {f"import {n.name}" for n in node.names}
                of_file = {"num_hidden_layers"} if path.parent.name == "gguf" else set()
                found += [f"{path.name}: {name}" for name in names & barred - of_file]
    assert found == []
