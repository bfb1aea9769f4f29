"""Exports `gguf-lora` and `gguf`: written, proven on test texts, and measured."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from finetune.artefacts.export_job import ExportJob
from finetune.errors import ReleaseError
from finetune.messages import Place, problem
from finetune.release.exports.gguf import runtime
from finetune.release.exports.gguf.general_keys import Identity, identity_of
from finetune.release.exports.gguf.lora import write_lora
from finetune.release.exports.gguf.whole_model import TYPES, Prompting, write_model
from finetune.spec.tables.export_format import Export, Exported
from finetune.spec.tables.extras import missing, pip_line

K_QUANTS = ("q6_k", "q5_k_m", "q5_k_s", "q4_k_m", "q4_k_s", "q3_k_m", "q3_k_s", "q2_k")
"""Types of llama.cpp's own quantizer."""
LORA_TYPES = ("f16", "f32")
MODELFILE = "Modelfile"
WHY = "llama-cpp-python, which runs GGUF files, is not installed"


def write_adapter(job: ExportJob) -> Exported:
    """Write the adapter as a LoRA file, proven on a GGUF of its base."""
    from finetune.models.load import adapter_tokenizer, load_tokenizer

    source, type_ = job.source, job.quantize or LORA_TYPES[0]
    identity = identity_of(source)
    stem = identity.name.removesuffix("-lora")
    file = job.workspace / f"{stem}-lora-{type_}.gguf"
    written = write_lora(
        source.base, source.adapter, file, identity=identity, precision=_lora_type(type_)
    )
    tokenizer = adapter_tokenizer(source.adapter, load_tokenizer(source.base))
    facts = {"tensors": written.tensors, "rank": written.rank, "alpha": written.alpha}
    with tempfile.TemporaryDirectory(dir=job.workspace.parent) as scratch:
        base = Path(scratch) / "base.gguf"
        prompting = _prompting(job, tokenizer, source.base)
        found = None
        if runtime.is_installed():
            about = Identity(name="base", base_id=source.base_id)
            write_model(source.base, base, identity=about, prompting=prompting)
            found = _proof(job, base, lora=file, template=prompting.template, scratch=scratch)
    name = source.base_id.rpartition("/")[2]
    _write_modelfile(job, f"./{name}.gguf", tokenizer, adapter=file.name)
    return _exported(file, found, what="the adapter as a LoRA file", facts=facts)


def write_whole(job: ExportJob) -> Exported:
    """Write base, adapter and new tokens as one GGUF file, in 16 or fewer bits."""
    from finetune.models.load import adapter_tokenizer, load_tokenizer
    from finetune.release.exports.merged import merge

    source, type_ = job.source, job.quantize or "f16"
    if type_ in K_QUANTS and not runtime.can_quantize():
        raise missing("llama_cpp", needed_by=f"--quantize {type_}", extra=runtime.EXTRA)
    identity = identity_of(source)
    file = job.workspace / f"{identity.name}-{type_}.gguf"
    tokenizer = adapter_tokenizer(source.adapter, load_tokenizer(source.base))
    with tempfile.TemporaryDirectory(dir=job.workspace.parent) as scratch:
        merged = Path(scratch) / "merged"
        merge(source.base, source.adapter, merged)
        prompting = _prompting(job, tokenizer, merged)
        first = Path(scratch) / "f16.gguf" if type_ in K_QUANTS else file
        tensors = write_model(
            merged,
            first,
            identity=identity,
            prompting=prompting,
            type_="f16" if type_ in K_QUANTS else type_,
        )
        if type_ in K_QUANTS:
            runtime.quantize(first, file, type_=type_)
        found = None
        if runtime.is_installed():
            found = _proof(job, file, lora=None, template=prompting.template, scratch=scratch)
    _write_modelfile(job, f"./{file.name}", tokenizer)
    return _exported(file, found, what="the whole model", facts={"tensors": tensors})


def _lora_type(type_: str) -> Any:
    if type_ not in LORA_TYPES:
        raise ReleaseError(
            problem(
                "lora-type",
                "a LoRA file is written in {known}, not in {type}",
                at=Place("--quantize"),
                known=", ".join(LORA_TYPES),
                type=type_,
            )
        )
    return type_


def _prompting(job: ExportJob, tokenizer: Any, folder: Path) -> Prompting:
    from finetune.models.template import opening

    template = tokenizer.chat_template
    if job.source.template is not None:
        template = job.source.template.read_text("utf-8")
    return Prompting(tokenizer=folder, opened=bool(opening(tokenizer)), template=template or None)


def _proof(
    job: ExportJob, model: Path, *, lora: Path | None, template: str | None, scratch: str
) -> dict[str, Any]:
    """Return the facts of a proof and of its measures. ReleaseError for what differs."""
    from finetune.models.load import adapter_tokenizer, load_tokenizer
    from finetune.release.exports.gguf.proof import float_twin, prove
    from finetune.release.exports.gguf.proof_items import MOST_NUMBERS, proof_items

    source = job.source
    tokenizer = adapter_tokenizer(source.adapter, load_tokenizer(source.base))
    items = proof_items(source, tokenizer)
    rows_most = max(16, MOST_NUMBERS // len(tokenizer))
    wanted = float_twin(source.base, source.adapter, items, rows_most=rows_most, template=template)
    scored = runtime.score(
        model,
        items=[{"tokens": one.tokens, "supervised": one.supervised} for one in items.items],
        texts=items.texts,
        scratch=Path(scratch),
        rows_most=rows_most,
        lora=lora,
    )
    quantized = lora is None and (job.quantize or "f16") not in ("f16", "f32")
    proof = prove(scored, wanted, items, file=(lora or model).name, quantized=quantized)
    per_word = items.bytes_per_word / items.bytes_per_token
    return {
        **proof.facts(),
        "texts_of": "recipe" if items.of_recipe else "built-in sentences",
        "prompts": source.chat_template or "not stated",
        "tokens_per_second": round(scored.tokens_per_second, 1),
        "words_per_second": round(scored.tokens_per_second / per_word, 1),
        "peak_bytes": scored.peak_bytes,
    }


def _write_modelfile(
    job: ExportJob, file: str, tokenizer: Any, *, adapter: str | None = None
) -> None:
    from finetune.release.exports.gguf.ollama import modelfile

    if job.source.template is not None:
        tokenizer.chat_template = job.source.template.read_text("utf-8")
    text = modelfile(file, tokenizer, layout=job.source.chat_template, adapter=adapter)
    (job.workspace / MODELFILE).write_text(text, encoding="utf-8", newline="\n")


def _exported(
    file: Path, found: dict[str, Any] | None, *, what: str, facts: dict[str, Any]
) -> Exported:
    size = file.stat().st_size
    facts = {"file": file.name, "size_bytes": size, **facts, **(found or {})}
    summary = f"{what} for llama.cpp, {file.name} ({size / 1e6:.1f} MB)"
    if found is None:
        return Exported(summary=summary, facts=facts, unchecked=f"{WHY}: {pip_line(runtime.EXTRA)}")
    return Exported(
        summary=f"{summary}; on {found['items']} texts of {found['tokens']} tokens its "
        f"probabilities differ by {found['kl']:.2g} nats per token from base and adapter in "
        f"float32, {found['argmax']:.1%} of the most probable tokens are the same",
        facts=facts,
        remarks=(
            f"bits per byte: {found['bits_file']:.3f}, base and adapter {found['bits_adapter']:.3f}"
            + (f", base {found['bits_base']:.3f}" if found["bits_base"] is not None else "")
            + f"; conversion cost {found['cost']:+.4f} (95 % interval {found['cost_low']:+.4f} to "
            f"{found['cost_high']:+.4f}, {found['items']} texts)",
            f"on this machine: {found['tokens_per_second']:g} tokens/s, "
            f"{found['words_per_second']:g} words/s, {found['peak_bytes'] / 1e6:.0f} MB of memory",
            f"{MODELFILE} is for Ollama, and was not run with it",
        ),
    )


LORA = Export(
    name="gguf-lora",
    about="the adapter as a LoRA file for llama.cpp, on top of its base in GGUF",
    write=write_adapter,
    quantizations=LORA_TYPES,
)
MODEL = Export(
    name="gguf",
    about="base, adapter and new tokens as one file for llama.cpp, also quantized",
    write=write_whole,
    quantizations=(*TYPES, *K_QUANTS),
)
