"""One contender of the training benchmark: trains, and prints its measurements as a line of JSON.

    python benchmarks/contenders.py plain --base DIR --text short --micro-batch 8

`ours` is this project's core; `plain` a transformers + PEFT loop that pads to the longest line of a
batch; `plain-max` the same padded to 512, as many tutorials do; `trl` TRL's SFTTrainer, and
`trl-packed` the same with its packing. All train the same documents in the same order (packing
changes the order) with the same LoRA, optimizer and learning rate, in fp32.

Documents are Hausa interface texts (kolibri 0.19.5, MIT), read from the installed package.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROW_TOKENS = 512
RANK, ALPHA, LEARNING_RATE = 16, 32, 2e-4
Documents = list[list[int]]


@dataclass
class Clock:
    """Wall time and real tokens of each optimizer step."""

    seconds: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)

    def step(self, began: float, tokens: int) -> None:
        """Note a step that began at `began` (perf_counter) and trained `tokens` tokens."""
        self.seconds.append(time.perf_counter() - began)
        self.tokens.append(tokens)

    @property
    def tokens_per_second(self) -> float:
        """Return the rate without the first step, in which libraries warm up."""
        return sum(self.tokens[1:]) / sum(self.seconds[1:])


def main() -> None:
    """Train, score held-out text, print one line."""
    options = _options()
    import torch

    from finetune.models.load import attach_lora, load_base, load_tokenizer
    from finetune.spec.sections.training import Lora

    torch.set_num_threads(options.threads)
    tokenizer = load_tokenizer(options.base)
    steps, held_out = _work(tokenizer, options)
    packed = "4bit" if options.contender.endswith("-4bit") else "none"
    model = load_base(options.base, precision="fp32", quantization=packed)
    model = attach_lora(model, Lora(rank=RANK, alpha=ALPHA), seed=0)
    began = time.process_time()
    clock = CONTENDERS[options.contender](model, tokenizer, steps, options)
    cpu_seconds = time.process_time() - began
    result = {
        "tokens_per_second": clock.tokens_per_second,
        "tokens_per_cpu_second": sum(clock.tokens) / cpu_seconds,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "bits_per_byte": _bits_per_byte(model, tokenizer, held_out),
    }
    print(json.dumps(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("--base", type=Path, required=True, help="folder of the converted model")
    parser.add_argument("--text", choices=("short", "full"), required=True)
    parser.add_argument("--micro-batch", type=int, required=True, help="of one forward pass: rows")
    parser.add_argument("--steps", type=int, default=4, help="optimizer steps, the first not timed")
    parser.add_argument("--step-tokens", type=int, default=2048, help="real tokens of a step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--profile", action="store_true", help="print where `ours` spends its time")
    return parser.parse_args()


# ---- the work, the same for all -------------------------------------------------------------


def _texts() -> list[str]:
    """Return the Hausa messages, in a fixed order, each once."""
    distribution = importlib.metadata.distribution("kolibri")
    folder = Path(str(distribution.locate_file("kolibri/locale/ha/LC_MESSAGES")))
    texts: list[str] = []
    for path in sorted(folder.glob("*-messages.json")):
        texts += json.loads(path.read_text(encoding="utf-8")).values()
    return [t.strip() for t in dict.fromkeys(texts) if t.strip()]


def _documents(tokenizer: Any, kind: str) -> Iterator[list[int]]:
    """Yield token lists: one message each, or messages joined until they fill a row."""
    texts = _texts()
    if kind == "short":
        for text in texts:
            yield [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
        return
    joined = tokenizer.encode("\n".join(texts), add_special_tokens=False)
    for begin in range(0, len(joined) - ROW_TOKENS, ROW_TOKENS):
        yield joined[begin : begin + ROW_TOKENS]


def _work(tokenizer: Any, options: argparse.Namespace) -> tuple[list[Documents], Documents]:
    """Return the documents of every step, and the held-out ones."""
    source = _documents(tokenizer, options.text)
    held_out = [next(source) for _ in range(40 if options.text == "short" else 3)]
    steps: list[Documents] = []
    for _ in range(options.steps):
        step: Documents = []
        while sum(map(len, step)) < options.step_tokens:
            step.append(next(source)[:ROW_TOKENS])
        steps.append(step)
    return steps, held_out


def _bits_per_byte(model: Any, tokenizer: Any, documents: Documents) -> float:
    """Score with the plain model, one document at a time."""
    import torch

    model.eval()
    nats, size = 0.0, 0
    with torch.no_grad():
        for document in documents:
            tokens = torch.tensor([document])
            logits = model(input_ids=tokens, use_cache=False).logits[0, :-1]
            nats += torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="sum").item()
            size += len(tokenizer.decode(document[1:], skip_special_tokens=True).encode())
    return nats / math.log(2) / size


def _optimizer(model: Any) -> Any:
    import torch

    trainable = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(trainable, lr=LEARNING_RATE, weight_decay=0.0)


# ---- the contenders -------------------------------------------------------------------------


def _ours(model: Any, _tokenizer: Any, steps: list[Documents], options: Any) -> Clock:
    import torch

    from finetune.models.packed_model import PackedModel

    packed, optimizer = PackedModel(model), _optimizer(model)
    clock = Clock()
    profiler = torch.profiler.profile() if options.profile else None
    for number, step in enumerate(steps):
        if profiler and number == len(steps) - 1:
            profiler.start()
        began = time.perf_counter()
        batches = list(_packed_batches(step, rows=options.micro_batch))
        supervised = sum(len(batch.targets_N) for batch in batches)
        for batch in batches:
            (packed(batch) / supervised).backward()
        optimizer.step()
        optimizer.zero_grad()
        clock.step(began, sum(map(len, step)))
    if profiler:
        profiler.stop()
        print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=30))
    return clock


def _packed_batches(step: Documents, *, rows: int) -> Iterator[Any]:
    import numpy as np

    from finetune.models.attention.packed_batch import pack_rows

    packed: list[list[list[int]]] = []
    for document in sorted(step, key=len, reverse=True):
        room = (row for row in packed if sum(map(len, row)) + len(document) <= ROW_TOKENS)
        row = next(room, None)
        if row is None:
            packed.append(row := [])
        row.append(document)
    for begin in range(0, len(packed), rows):
        group = packed[begin : begin + rows]
        arrays = [np.zeros((len(group), ROW_TOKENS), np.int64) for _ in range(3)]
        tokens, segments, supervised = arrays
        for r, row in enumerate(group):
            at = 0
            for s, document in enumerate(row):
                end = at + len(document)
                tokens[r, at:end], segments[r, at:end] = document, s + 1
                supervised[r, at + 1 : end] = 1
                at = end
        numbers = tuple(range(begin, begin + len(group)))
        yield pack_rows(tokens, segments.astype(np.int32), supervised, rows=numbers, device="cpu")


def _plain(model: Any, tokenizer: Any, steps: list[Documents], options: Any) -> Clock:
    import torch

    optimizer, clock, size = _optimizer(model), Clock(), options.micro_batch
    for step in steps:
        began = time.perf_counter()
        supervised = sum(len(document) - 1 for document in step)
        for begin in range(0, len(step), size):
            group = step[begin : begin + size]
            width = ROW_TOKENS if options.contender == "plain-max" else max(map(len, group))
            tokens = torch.full((len(group), width), tokenizer.pad_token_id)
            mask = torch.zeros_like(tokens)
            for i, document in enumerate(group):
                tokens[i, : len(document)] = torch.tensor(document)
                mask[i, : len(document)] = 1
            labels = tokens.masked_fill(mask == 0, -100)
            out = model(
                input_ids=tokens,
                attention_mask=mask,
                labels=labels,
                num_items_in_batch=supervised,
                use_cache=False,
            )
            out.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        clock.step(began, sum(map(len, step)))
    return clock


def _trl(model: Any, tokenizer: Any, steps: list[Documents], options: Any) -> Clock:
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    packing = options.contender == "trl-packed"
    documents = [document for step in steps for document in step]
    # SFTTrainer counts a step in examples (documents, or packed rows), not in tokens.
    total = sum(map(len, documents))
    examples = -(-total // ROW_TOKENS) if packing else len(documents)
    accumulate = math.ceil(examples / len(steps) / options.micro_batch)

    class Stopwatch(TrainerCallback):
        def __init__(self) -> None:
            self.seconds: list[float] = []

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds.append(time.perf_counter() - self.began)

    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as scratch:
        config = SFTConfig(
            output_dir=scratch,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            per_device_train_batch_size=options.micro_batch,
            gradient_accumulation_steps=accumulate,
            packing=packing,
            max_length=ROW_TOKENS,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="constant",
            max_grad_norm=0.0,
            num_train_epochs=1,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            train_sampling_strategy="sequential",
        )
        trainer = SFTTrainer(
            model=model,
            args=config,
            train_dataset=Dataset.from_dict({"input_ids": documents}),
            processing_class=tokenizer,
            callbacks=[watch],
        )
        sizes = [len(ids) for ids in trainer.train_dataset["input_ids"]]
        trainer.train()
    step = accumulate * options.micro_batch
    tokens = [sum(sizes[at : at + step]) for at in range(0, len(sizes), step)]
    return Clock(watch.seconds, tokens)


CONTENDERS: dict[str, Callable[..., Clock]] = {
    "ours": _ours,
    "ours-4bit": _ours,
    "plain": _plain,
    "plain-max": _plain,
    "trl": _trl,
    "trl-packed": _trl,
}

if __name__ == "__main__":
    main()
