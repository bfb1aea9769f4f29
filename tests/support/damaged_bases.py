"""Bases as people have them and as strangers make them: damaged in one place each, or sound.

    for name, folder, words in damaged_bases(tmp_path, seed=0, count=30): ...

Every kind of `DAMAGES` changes a sound tiny model and states which words a refusal must hold: the
file or the tensor. `mutated_bases` flips bits and bytes of headers and JSON at random places, so
that a refusal or a sound base may come out, and never anything else. The same seed gives the same
folders.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.support.tiny import write_tiny_model

POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
WEIGHTS, CONFIG, INDEX = "model.safetensors", "config.json", "model.safetensors.index.json"
PROJECTION = "model.layers.1.self_attn.q_proj.weight"


@dataclass(frozen=True, slots=True)
class Damage:
    """A kind of damage: how it is done to a sound base, and what a refusal must say."""

    name: str
    change: Callable[[Path], object]
    words: tuple[str, ...]
    base: Mapping[str, Any] | None = None
    """Settings of the tiny model, where it is not the usual one."""
    shards: bool = False


def tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Rewrite the weights of a folder with their tensors changed."""
    held = load_file(folder / WEIGHTS)
    change(held)
    save_file(held, folder / WEIGHTS, metadata={"format": "pt"})


def drop(*parts: str) -> Callable[[Path], None]:
    """Return a change that takes tensors away, by a part of their names."""

    def change(held: dict[str, torch.Tensor]) -> None:
        for name in [name for name in held if any(part in name for part in parts)]:
            del held[name]

    return lambda folder: tensors(folder, change)


def put(name: str, tensor: Callable[[], torch.Tensor]) -> Callable[[Path], None]:
    """Return a change that adds or replaces a tensor."""
    return lambda folder: tensors(folder, lambda held: held.update({name: tensor()}))


def as_it_is(folder: Path) -> Path:
    """Change nothing."""
    return folder


def rename(old: str, new: str) -> Callable[[Path], None]:
    """Return a change of the names of tensors."""

    def change(held: dict[str, torch.Tensor]) -> None:
        for name in list(held):
            held[name.replace(old, new) if old else new + name] = held.pop(name)

    return lambda folder: tensors(folder, change)


def write(name: str, content: str | bytes) -> Callable[[Path], object]:
    """Return a change that replaces the content of a file."""
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def settings(name: str = CONFIG, **values: Any) -> Callable[[Path], object]:
    """Return a change of keys of a JSON file."""

    def change(folder: Path) -> None:
        held = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(held | values))

    return change


def without(name: str, *keys: str) -> Callable[[Path], object]:
    """Return a change that takes keys out of a JSON file, or the file away if none are named."""

    def change(folder: Path) -> None:
        if not keys:
            return (folder / name).unlink()
        held = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({k: v for k, v in held.items() if k not in keys}))
        return None

    return change


def cut(name: str, share: float = 0.5, *, by: int = 0) -> Callable[[Path], object]:
    """Return a change that cuts the end of a file off."""

    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-by] if by else content[: int(len(content) * share)])

    return change


def header(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """Return a change of the header of the weights, whose data stay where they are."""

    def rewrite(folder: Path) -> None:
        content = (folder / WEIGHTS).read_bytes()
        length = struct.unpack("<Q", content[:8])[0]
        held = json.loads(content[8 : 8 + length])
        new = change(held)
        text = json.dumps(held if new is None else new).encode()
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])

    return rewrite


def instead(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Return a change that puts something else (a folder, a pipe, a link) in a file's place."""

    def change(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return change


def index(change: Callable[[dict[str, str]], object]) -> Callable[[Path], object]:
    """Return a change of an index's map of tensors to files."""

    def rewrite(folder: Path) -> None:
        held = json.loads((folder / INDEX).read_text())
        change(held["weight_map"])
        (folder / INDEX).write_text(json.dumps(held))

    return rewrite


def split(folder: Path) -> None:
    """Turn the weights of a folder into two shards with an index."""
    held = load_file(folder / WEIGHTS)
    names = sorted(held)
    places = {}
    for number, part in enumerate((names[: len(names) // 2], names[len(names) // 2 :]), start=1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: held[name] for name in part}, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(part, file)
    (folder / WEIGHTS).unlink()
    text = json.dumps({"metadata": {"total_size": 1}, "weight_map": places})
    (folder / INDEX).write_text(text)


SECOND = "model-00002-of-00002.safetensors"
MIXTRAL = {"kind": "mixtral"}
UNTIED = {"tie_word_embeddings": False}
BERT = {
    "model_type": "bert",
    "vocab_size": 512,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "intermediate_size": 128,
}


def _twice(folder: Path) -> None:
    first = load_file(folder / SECOND.replace("00002-of", "00001-of"))
    name = min(first)
    held = load_file(folder / SECOND) | {name: first[name]}
    save_file(held, folder / SECOND, metadata={"format": "pt"})


def _overlap(held: dict[str, Any]) -> None:
    names = [name for name in held if name != "__metadata__"]
    held[names[1]]["data_offsets"] = held[names[0]]["data_offsets"]


def _list(held: dict[str, Any]) -> list[int]:
    return [len(held)]


def _first(held: dict[str, Any]) -> dict[str, Any]:
    return next(value for name, value in held.items() if name != "__metadata__")


OF_WEIGHTS = (
    Damage("pointer of Git LFS", write(WEIGHTS, POINTER), (WEIGHTS, "git lfs pull")),
    Damage("empty weights", write(WEIGHTS, b""), (WEIGHTS, "empty")),
    Damage("five bytes of weights", write(WEIGHTS, b"\x05\0\0\0\0"), (WEIGHTS, "cut off")),
    Damage("half of the weights", cut(WEIGHTS), (WEIGHTS, "cut off")),
    Damage("weights that end in the header", cut(WEIGHTS, 0.002), (WEIGHTS, "cut off")),
    Damage("weights without their last byte", cut(WEIGHTS, by=1), (WEIGHTS, "cut off")),
    Damage(
        "weights with a byte more",
        lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes() + b"\0"),
        (WEIGHTS, "too long"),
    ),
    Damage("a web page", write(WEIGHTS, "<!DOCTYPE html><html>404</html>"), (WEIGHTS,)),
    Damage("a header of 2**60 bytes", write(WEIGHTS, struct.pack("<Q", 2**60)), (WEIGHTS,)),
    Damage("zeros", write(WEIGHTS, bytes(4096)), (WEIGHTS, "header")),
    Damage("a list as header", header(_list), (WEIGHTS, "header")),
    Damage("overlapping tensors", header(_overlap), (WEIGHTS, "header")),
    Damage(
        "a shape without its bytes",
        header(lambda held: _first(held).update(shape=[9, 9])),
        (WEIGHTS, "header"),
    ),
    Damage(
        "a shape of 2**62 rows",
        header(lambda held: _first(held).update(shape=[2**62, 2**62])),
        (WEIGHTS, "header"),
    ),
    Damage(
        "an unknown type of numbers",
        header(lambda held: _first(held).update(dtype="F99")),
        (WEIGHTS, "F99"),
    ),
    Damage("a folder as weights", instead(WEIGHTS, Path.mkdir), (WEIGHTS, "not a regular file")),
    Damage("a pipe as weights", instead(WEIGHTS, os.mkfifo), (WEIGHTS, "not a regular file")),
    Damage(
        "a link to nothing",
        instead(WEIGHTS, lambda path: path.symlink_to("nowhere")),
        (WEIGHTS, "missing"),
    ),
    Damage(
        "an endless device",
        instead(WEIGHTS, lambda path: path.symlink_to("/dev/zero")),
        (WEIGHTS, "not a regular file"),
    ),
    Damage("no weights", without(WEIGHTS), ("safetensors",)),
)
OF_TENSORS = (
    Damage("no projection", drop(PROJECTION), (PROJECTION, "missing")),
    Damage("no layer 1", drop("layers.1."), ("model.layers.1.", "(9)", "missing")),
    Damage("no layer 0", drop("layers.0."), ("model.layers.0.", "missing")),
    Damage("no embeddings", drop("embed_tokens"), ("embed_tokens", "missing")),
    Damage("no last norm", drop("model.norm.weight"), ("model.norm.weight", "missing")),
    Damage("no head of its own", drop("lm_head"), ("lm_head.weight", "missing"), UNTIED),
    Damage("a prefix before all names", rename("", "x."), ("x.model.", "missing")),
    Damage("another spelling", rename("self_attn", "attention"), ("self_attn", "attention")),
    Damage("a layer more", rename("layers.1.", "layers.7."), ("layers.7.", "layers.1.")),
    Damage("a stranger", put("model.extra", lambda: torch.ones(3)), ("model.extra", "no place")),
    Damage(
        "a bias that the family has not",
        put(PROJECTION.replace("weight", "bias"), lambda: torch.ones(64)),
        ("q_proj.bias", "no place"),
    ),
    Damage("a short projection", put(PROJECTION, lambda: torch.ones(32, 64)), (PROJECTION, "(32")),
    Damage("a flat projection", put(PROJECTION, lambda: torch.ones(64 * 64)), (PROJECTION,)),
    Damage("a number as projection", put(PROJECTION, lambda: torch.ones(())), (PROJECTION,)),
    Damage(
        "whole numbers",
        put(PROJECTION, lambda: torch.ones(64, 64, dtype=torch.int8)),
        (PROJECTION, "floating point"),
    ),
    Damage(
        "complex numbers",
        put(PROJECTION, lambda: torch.ones(64, 64, dtype=torch.complex64)),
        (PROJECTION, "floating point"),
    ),
    Damage(
        "another file of weights",
        settings(transformers_weights="other.safetensors"),
        ("config.json", "transformers_weights"),
    ),
    Damage("one layer more in the config", settings(num_hidden_layers=3), ("layers.2.", "(9)")),
    Damage(
        "one layer less in the config", settings(num_hidden_layers=1), ("layers.1.", "no place")
    ),
    Damage("another width", settings(hidden_size=128), ("shape", "64", "128")),
    Damage("another inner width", settings(intermediate_size=256), ("mlp", "256")),
    Damage("other heads", settings(num_key_value_heads=4), ("k_proj", "(32, 64)")),
    Damage("another vocabulary", settings(vocab_size=600), ("embed_tokens", "512", "600")),
    Damage("another family", settings(model_type="gpt2"), ("missing",)),
    Damage("a family that reads", write(CONFIG, json.dumps(BERT)), ("missing", "bert.")),
    Damage("a near family", settings(model_type="qwen2"), ("q_proj.bias", "missing")),
    Damage("a family with norms", settings(model_type="qwen3", head_dim=16), ("q_norm", "missing")),
    Damage("no expert 1", drop("experts.1.w1"), ("experts.1.w1", "missing"), MIXTRAL),
    Damage("no expert 3 at all", drop("experts.3."), ("experts", "shape"), MIXTRAL),
    Damage("no router", drop("layers.1.block_sparse_moe.gate"), ("gate", "missing"), MIXTRAL),
    Damage("more experts", settings(num_local_experts=5), ("experts",), MIXTRAL),
    Damage("no norm of queries", drop("1.self_attn.q_norm"), ("q_norm",), {"kind": "gemma3"}),
    Damage("no places", drop("wpe"), ("wpe", "missing"), {"kind": "gpt2"}),
)
OF_SHARDS = (
    Damage("no second shard", without(SECOND), (SECOND, "missing"), shards=True),
    Damage("half a shard", cut(SECOND), (SECOND, "cut off"), shards=True),
    Damage("a pointer as shard", write(SECOND, POINTER), (SECOND, "git lfs pull"), shards=True),
    Damage("no index", without(INDEX), (INDEX,), shards=True),
    Damage("a torn index", cut(INDEX), (INDEX, "JSON"), shards=True),
    Damage("an empty index", write(INDEX, "{}"), (INDEX, "weight_map"), shards=True),
    Damage("a pointer as index", write(INDEX, POINTER), (INDEX, "git lfs pull"), shards=True),
    Damage(
        "a tensor in the wrong shard",
        index(lambda places: places.update({PROJECTION: SECOND.replace("00002-of", "00001-of")})),
        (INDEX, PROJECTION),
        shards=True,
    ),
    Damage(
        "a tensor without a shard",
        index(lambda places: places.update({"model.ghost": SECOND})),
        (INDEX, "model.ghost"),
        shards=True,
    ),
    Damage(
        "a shard outside",
        index(lambda places: places.update({PROJECTION: "../../x.safetensors"})),
        (INDEX, "../../x.safetensors"),
        shards=True,
    ),
    Damage(
        "a number as shard",
        index(lambda places: places.update({PROJECTION: 5})),
        (INDEX, PROJECTION),
        shards=True,
    ),
    Damage("a tensor in two shards", _twice, (SECOND, "and so does"), shards=True),
)
OF_CONFIG = (
    Damage("no config", without(CONFIG), (CONFIG, "missing")),
    Damage("an empty config", write(CONFIG, ""), (CONFIG, "empty")),
    Damage("a torn config", cut(CONFIG), (CONFIG, "JSON")),
    Damage("null as config", write(CONFIG, "null"), (CONFIG, "JSON object")),
    Damage("a list as config", write(CONFIG, "[]"), (CONFIG, "JSON object")),
    Damage("a number as config", write(CONFIG, "1e400"), (CONFIG, "JSON object")),
    Damage("a pointer as config", write(CONFIG, POINTER), (CONFIG, "git lfs pull")),
    Damage("a deep config", write(CONFIG, '{"a":' * 9999 + "1" + "}" * 9999), (CONFIG,)),
    Damage("bytes as config", write(CONFIG, b"\xff\xfe{\0}\0"), (CONFIG, "JSON")),
    Damage("a folder as config", instead(CONFIG, Path.mkdir), (CONFIG,)),
    Damage("a pipe as config", instead(CONFIG, os.mkfifo), (CONFIG, "pipe")),
    Damage("no model_type", without(CONFIG, "model_type"), (CONFIG, "model_type")),
    Damage("a path as model_type", settings(model_type="../x"), (CONFIG, "model_type")),
    Damage("a number as model_type", settings(model_type=5), (CONFIG, "model_type")),
    Damage("an unknown model_type", settings(model_type="llamo"), (CONFIG, "llamo")),
    Damage("code", settings(auto_map={"AutoConfig": "evil.C"}), (CONFIG, "auto_map")),
    Damage("10**9 layers", settings(num_hidden_layers=10**9), (CONFIG, "num_hidden_layers")),
    Damage("1e30 layers", settings(num_hidden_layers=1e30), (CONFIG, "num_hidden_layers")),
    Damage("5000 layers", settings(num_hidden_layers=5000), (CONFIG, "num_hidden_layers")),
    Damage("10**9 experts", settings(num_local_experts=10**9), (CONFIG, "experts"), MIXTRAL),
    Damage("no layers", settings(num_hidden_layers=0), ("no place",)),
    Damage("minus one layer", settings(num_hidden_layers=-1), ("no place",)),
    Damage("words as width", settings(hidden_size="wide"), (CONFIG, "hidden_size")),
    Damage("a list as width", settings(hidden_size=[64]), (CONFIG, "hidden_size")),
    Damage("no heads", settings(num_attention_heads=0), (CONFIG,)),
    Damage("a width of 10**15", settings(hidden_size=10**15), ("shape",)),
    Damage("a vocabulary of 10**18", settings(vocab_size=10**18), (CONFIG,)),
    Damage("a vocabulary of -1", settings(vocab_size=-1), (CONFIG,)),
    Damage("10**6 positions", settings(n_positions=10**6), ("wpe", "1000000"), {"kind": "gpt2"}),
    Damage("heads of 10**11", settings(head_dim=10**11), ("tables",), {"kind": "qwen3"}),
    Damage(
        "another width of a packed model",
        settings(hidden_size=128, quantization_config={"quant_method": "gptq", "bits": 4}),
        ("embed_tokens", "shape"),
    ),
    Damage("odd angles", settings(rope_parameters={"rope_type": "x"}), (CONFIG,)),
    Damage("an unknown activation", settings(hidden_act="boom"), (CONFIG, "boom")),
)
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
OF_TOKENIZER = (
    Damage("no tokenizer", without(TOKENIZER), ("tokenizer",)),
    Damage("an empty tokenizer", write(TOKENIZER, ""), (TOKENIZER, "empty")),
    Damage("a torn tokenizer", cut(TOKENIZER), (TOKENIZER, "JSON")),
    Damage("null as tokenizer", write(TOKENIZER, "null"), (TOKENIZER, "JSON object")),
    Damage("nothing in the tokenizer", write(TOKENIZER, "{}"), (TOKENIZER,)),
    Damage("a tokenizer without model", settings(TOKENIZER, model=None), (TOKENIZER,)),
    Damage("an unknown kind of tokenizer", settings(TOKENIZER, model={"type": "X"}), (TOKENIZER,)),
    Damage("a pointer as tokenizer", write(TOKENIZER, POINTER), (TOKENIZER, "git lfs pull")),
    Damage("a torn tokenizer_config", cut(TOKENIZER_CONFIG), (TOKENIZER_CONFIG, "JSON")),
    Damage("a list as tokenizer_config", write(TOKENIZER_CONFIG, "[]"), (TOKENIZER_CONFIG,)),
    Damage(
        "code for the tokenizer",
        settings(TOKENIZER_CONFIG, auto_map={"AutoTokenizer": ["evil.T", None]}),
        (TOKENIZER_CONFIG, "auto_map"),
    ),
    Damage("more tokens than rows", as_it_is, ("token", "rows"), {"rows": 300}),
    Damage("torn settings", write("generation_config.json", "{"), ("generation_config.json",)),
    Damage("null as settings", write("generation_config.json", "null"), ("generation_config",)),
    Damage("a torn map", write("special_tokens_map.json", "[1"), ("special_tokens_map.json",)),
    Damage("an empty template", write("chat_template.jinja", ""), ("chat_template.jinja",)),
    Damage("a pointer as template", write("chat_template.jinja", POINTER), ("git lfs pull",)),
)
DAMAGES = (*OF_WEIGHTS, *OF_TENSORS, *OF_SHARDS, *OF_CONFIG, *OF_TOKENIZER)


def _half(folder: Path) -> None:
    tensors(folder, lambda held: held.update({k: t.half() for k, t in held.items()}))


def _old_angles(folder: Path) -> None:
    for layer in range(2):
        name = f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"
        put(name, lambda: torch.ones(8))(folder)


def _aside(folder: Path) -> None:
    save_file({"other.model": torch.ones(2)}, folder / "consolidated.safetensors")


LEGIT: Mapping[str, tuple[Mapping[str, Any], Callable[[Path], object]]] = {
    "tied head": ({}, as_it_is),
    "untied head": (UNTIED, as_it_is),
    "tied head written twice": (
        {},
        lambda f: tensors(f, lambda t: t.update({"lm_head.weight": t[EMBEDDING].clone()})),
    ),
    "shards": ({}, split),
    "half precision": ({}, _half),
    "float64": (
        {},
        lambda f: tensors(f, lambda t: t.update({k: v.double() for k, v in t.items()})),
    ),
    "old rotary angles": ({}, _old_angles),
    "without generation_config": ({}, without("generation_config.json")),
    "another file of weights aside": ({}, _aside),
    "without a chat template": ({"chat_template": False}, as_it_is),
    "more rows than tokens": ({"vocab": 512, "rows": 640}, as_it_is),
    "an unknown key in the config": ({}, settings(some_new_key=[1, 2], layer_note="x")),
    "gemma3": ({"kind": "gemma3"}, as_it_is),
    "qwen2": ({"kind": "qwen2"}, as_it_is),
    "qwen3": ({"kind": "qwen3"}, as_it_is),
    "mistral": ({"kind": "mistral"}, as_it_is),
    "mixtral": (MIXTRAL, as_it_is),
    "gpt2": ({"kind": "gpt2"}, as_it_is),
}
"""Sound bases: settings of the tiny model, and what is done to it."""
EMBEDDING = "model.embed_tokens.weight"


def make_base(folder: Path, base: Mapping[str, Any] | None = None) -> Path:
    """Write a sound tiny base with these settings; `rows` is the number of its embedding's rows."""
    given = dict(base or {})
    source = _sound(tuple(sorted(given.items())))
    shutil.copytree(source, folder)
    return folder


@cache
def _sound(items: tuple[tuple[str, Any], ...]) -> Path:
    given = dict(items)
    rows = given.pop("rows", None)
    folder = Path(mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made, other = folder / "base", folder / "other"
    write_tiny_model(made, **given)
    if rows is not None:
        write_tiny_model(other, **given | {"vocab": rows})
        for name in (CONFIG, WEIGHTS):
            shutil.copyfile(other / name, made / name)
    return made


def damage(folder: Path, kind: Damage) -> Path:
    """Write a base with a kind of damage."""
    make_base(folder, kind.base)
    if kind.shards:
        split(folder)
    kind.change(folder)
    return folder


def damaged_bases(
    folder: Path, *, seed: int, count: int
) -> Iterator[tuple[str, Path, tuple[str, ...]]]:
    """Yield `count` bases, each with one kind of damage or two of different files, at random.

    With each comes what a refusal must say of at least one of the two.
    """
    dice = random.Random(seed)
    for number in range(count):
        kind = dice.choice(DAMAGES)
        made = damage(folder / f"{seed}-{number}", kind)
        name, words = kind.name, kind.words
        if dice.random() < 0.5:
            other = dice.choice(OF_TOKENIZER[:11])
            if (made / other.words[0]).is_file() and other.words[0] != kind.words[0]:
                other.change(made)
                name, words = f"{name} and {other.name}", (*words, *other.words)
        yield name, made, words


def mutated_bases(folder: Path, *, seed: int, count: int) -> Iterator[tuple[str, Path]]:
    """Yield `count` bases with random bits and bytes changed in headers and JSON files."""
    dice = random.Random(seed)
    files = (WEIGHTS, CONFIG, TOKENIZER, TOKENIZER_CONFIG, "generation_config.json")
    for number in range(count):
        made = make_base(folder / f"{seed}-{number}")
        file = dice.choice(files)
        content = bytearray((made / file).read_bytes())
        end = min(len(content), 4000) if file == WEIGHTS else len(content)
        what = dice.choice(("bit", "byte", "cut", "insert", "swap"))
        for _ in range(dice.choice((1, 1, 3))):
            at = dice.randrange(end)
            if what == "bit":
                content[at] ^= 1 << dice.randrange(8)
            elif what == "byte":
                content[at] = dice.choice(b'{}[]",:0123456789 \x00\xff-eE')
            elif what == "cut":
                del content[at : at + dice.randrange(1, 40)]
            elif what == "insert":
                content[at:at] = dice.choice((b"0", b"[", b'"', b"null", b"9" * 30, b"\\u0000"))
            else:
                other = dice.randrange(end)
                content[at], content[other] = content[other], content[at]
            end = max(1, min(end, len(content)))
        (made / file).write_bytes(content)
        yield f"{what} in {file}", made
