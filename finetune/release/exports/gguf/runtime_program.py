"""A program that runs a GGUF file by llama-cpp-python, alone in its process.

    python runtime_program.py REQUEST.json ANSWER.json

A damaged file ends this process and not the one that asks. It imports nothing of this package: what
answers here is the runtime of the file alone.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def main(request_file: str, answer_file: str) -> None:
    """Do what a request asks: `quantize`, or `score`."""
    request = json.loads(Path(request_file).read_text("utf-8"))
    answer = _quantize(request) if "quantize" in request else _score(request)
    Path(answer_file).write_text(json.dumps(answer), "utf-8")


def _quantize(request: dict[str, Any]) -> dict[str, Any]:
    import llama_cpp

    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{request['quantize'].upper()}")
    settings.nthread = request["threads"]
    source, target = request["model"].encode(), request["target"].encode()
    return {"failed": llama_cpp.llama_model_quantize(source, target, settings)}


def _score(request: dict[str, Any]) -> dict[str, Any]:
    """Return metadata, token ids of texts, and nats of supervised tokens; write log-probabilities.

    `rows`: file of float32 (N, V), log-probabilities of the first N supervised tokens.
    """
    import llama_cpp
    import numpy as np

    items = request["items"]
    speed, peak_bytes = _pace(request)
    length = max(32, *(len(item["tokens"]) for item in items))
    model = llama_cpp.Llama(
        request["model"],
        lora_path=request.get("lora"),
        n_ctx=length,
        n_batch=length,
        n_ubatch=length,
        n_threads=request["threads"],
        n_threads_batch=request["threads"],
        logits_all=True,
        verbose=False,
    )
    ids = [model.tokenize(t.encode(), add_bos=False, special=True) for t in request["texts"]]
    nats, best, left = [], [], request["rows_most"]
    started, tokens = time.perf_counter(), 0
    with Path(request["rows"]).open("wb") as rows:
        for item in items:
            model.reset()
            model.eval(item["tokens"])
            tokens += len(item["tokens"])
            at = [n for n, wanted in enumerate(item["supervised"]) if wanted]
            logits_NV = np.asarray(model.scores)[[n - 1 for n in at]].astype(np.float64)
            logits_NV -= logits_NV.max(-1, keepdims=True)
            logits_NV -= np.log(np.exp(logits_NV).sum(-1, keepdims=True))
            targets = [item["tokens"][n] for n in at]
            nats.append(float(-logits_NV[range(len(at)), targets].sum()))
            best.append(logits_NV.argmax(-1).tolist())
            kept = logits_NV[: max(0, left)].astype(np.float32)
            left -= len(kept)
            rows.write(kept.tobytes())
    seconds = time.perf_counter() - started
    return {
        "metadata": {name: str(value) for name, value in model.metadata.items()},
        "vocabulary": model.n_vocab(),
        "eos": model.token_eos(),
        "ids": ids,
        "nats": nats,
        "best": best,
        "prompt_tokens_per_second": tokens / seconds,
        "tokens_per_second": speed,
        "peak_bytes": peak_bytes,
    }


def _pace(request: dict[str, Any]) -> tuple[float, int]:
    """Return generated tokens per second, one at a time, and the peak of memory until then."""
    import llama_cpp

    count = request["speed_tokens"]
    model = llama_cpp.Llama(
        request["model"],
        lora_path=request.get("lora"),
        n_ctx=2 * count,
        n_threads=request["threads"],
        n_threads_batch=request["threads"],
        verbose=False,
    )
    token = request["items"][0]["tokens"][0]
    model.eval([token])  # the first one also reads the file
    started = time.perf_counter()
    for _ in range(count):
        token = model.sample(temp=0.0)
        model.eval([token])
    seconds = time.perf_counter() - started
    model.close()
    return count / seconds, _peak_bytes()


def _peak_bytes() -> int:
    """Return the peak of this process's own memory.

    On Linux `ru_maxrss` begins with that of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text("utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
