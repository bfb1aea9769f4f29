"""Bases and adapters that are not whole are refused by name before anything is trained on them."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from finetune import cli
from finetune.errors import FinetuneError, InputError, RecipeError, StoreError
from finetune.models import base, intact
from finetune.models.adapter_files import WEIGHTS as ADAPTER
from finetune.models.kinds import kind_of
from finetune.models.load import attach_lora, load_adapter, load_base, load_tokenizer
from finetune.models.rows import NewRows, read_rows, start_rows
from finetune.models.save import follow_umask, save_model
from finetune.sources import model_folder
from finetune.sources.lock import model_entry
from finetune.sources.model_folder import look_at
from finetune.spec.load import load_project
from finetune.spec.sections.training import Lora
from finetune.train.adapter import load_start
from tests.support import damaged_bases as bases
from tests.support.base_job import base_job
from tests.support.damaged_adapters import DAMAGED_ADAPTERS
from tests.support.problems import raises
from tests.support.project import write_project
from tests.support.surroundings import Constants
from tests.support.tiny import tiny_model, write_tiny_model

WEIGHTS = bases.WEIGHTS


def of(kinds: tuple[bases.Damage, ...]) -> pytest.MarkDecorator:
    """Run a test for each kind of damage."""
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: kind.name)


@of(bases.DAMAGES)
def test_a_damaged_base_is_refused_by_name(kind: bases.Damage, tmp_path: Path) -> None:
    """The stage `base` names file or tensor, and leaves no model behind."""
    made = bases.damage(tmp_path / "made", kind)
    with pytest.raises(RecipeError) as caught:
        base.run(base_job(str(made), tmp_path / "out"))
    for word in kind.words:
        assert word in str(caught.value)
    assert all(str(one).startswith(f"base.model: {made}") for one in caught.value.problems)
    assert "\n" not in "".join(map(str, caught.value.problems))
    assert not list((tmp_path / "out/model").iterdir())


@pytest.mark.parametrize("name", bases.LEGIT)
def test_a_sound_base_is_taken(name: str, tmp_path: Path) -> None:
    """Whatever families and people write, if all is there; it loads with the file's numbers."""
    given, change = bases.LEGIT[name]
    made = bases.make_base(tmp_path / "made", given)
    change(made)
    base.run(base_job(str(made), tmp_path / "out"))
    model = load_base(tmp_path / "out/model", precision="fp32")
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert not (tmp_path / "out/model/consolidated.safetensors").exists()
    assert len(load_tokenizer(tmp_path / "out/model").encode("Ina kwana?")) > 2


@of(tuple(kind for kind in bases.OF_TENSORS if kind.words[0] != bases.PROJECTION))
def test_loading_refuses_separately(
    kind: bases.Damage, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A base that was taken before this was looked at is refused where it is loaded, too."""
    made = bases.damage(tmp_path / "made", kind)
    with pytest.raises(RecipeError):
        load_base(made, precision="bf16")
    assert "LOAD REPORT" not in "".join(capfd.readouterr())  # the library's table for developers


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_a_quantised_base_is_held_to_its_report(quantization: str, tmp_path: Path) -> None:
    """Of a base in fewer bits a missing or bent tensor is refused as well; a sound one loads."""
    pytest.importorskip("bitsandbytes")
    sound = bases.make_base(tmp_path / "sound")
    assert load_base(sound, precision="fp32", quantization=quantization).is_quantized  # type: ignore[arg-type]
    for code, change, facts in (
        ("tensors-missing", bases.drop(bases.PROJECTION), {"count": 1}),
        (
            "tensor-shape-differs",
            bases.settings(vocab_size=600),
            {"tensor": "model.embed_tokens.weight", "expected": (600, 64)},
        ),
    ):
        made = bases.make_base(tmp_path / code)
        change(made)
        with raises(RecipeError, code=code, at=code, **facts):
            load_base(made, precision="fp32", quantization=quantization)  # type: ignore[arg-type]


def mutated(folder: Path, *, seed: int, count: int) -> tuple[int, int]:
    """Open bases with random damage; return how many were taken, and how many refused."""
    taken = refused = 0
    for number, (_, made) in enumerate(bases.mutated_bases(folder, seed=seed, count=count)):
        try:
            base.run(base_job(str(made), folder / f"out-{number}"))
            taken += 1
            kept = folder / f"out-{number}/model"
            model = kind_of(kept).load_base(kept, precision="fp32")
            model(torch.tensor([load_tokenizer(kept).encode("Ina kwana?")]))
        except FinetuneError:
            refused += 1
    return taken, refused


def test_random_damage_is_refused_or_does_not_matter(tmp_path: Path) -> None:
    """Flipped bits and lost bytes of headers and JSON never raise anything but our errors."""
    taken, refused = mutated(tmp_path, seed=5, count=40)
    assert refused > 20
    assert taken > 0


@pytest.mark.slow
def test_much_random_damage_is_refused_or_does_not_matter(tmp_path: Path) -> None:
    """The same, 300 times."""
    assert sum(mutated(tmp_path, seed=6, count=300)) >= 300


@pytest.mark.parametrize("seed", [1, 2])
def test_two_kinds_of_damage_at_once(seed: int, tmp_path: Path) -> None:
    """Of damage in two files one at least is named; both where a look at the files is enough."""
    for name, made, words in bases.damaged_bases(tmp_path, seed=seed, count=12):
        with pytest.raises(RecipeError) as caught:
            base.run(base_job(str(made), made.with_name(made.name + "-out")))
        assert " and " in name or all(word in str(caught.value) for word in words), name


def test_all_that_a_look_finds_is_said_at_once(tmp_path: Path) -> None:
    """Config, weights and tokenizer are three problems."""
    made = bases.make_base(tmp_path / "made")
    bases.write(bases.CONFIG, "null")(made)
    bases.cut(WEIGHTS)(made)
    bases.write(bases.TOKENIZER, bases.POINTER)(made)
    with pytest.raises(RecipeError) as caught:
        look_at(made, where="x")
    assert len(caught.value.problems) == 3


@contextmanager
def as_other_user() -> Iterator[None]:
    """Let permissions hold, which they do not for the superuser."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("name", [WEIGHTS, bases.CONFIG, bases.TOKENIZER, ""])
def test_an_unreadable_file_is_named(name: str, tmp_path: Path) -> None:
    """A file without permission is no traceback; nor is a folder."""
    made = bases.make_base(tmp_path / "made")
    temporary = Path(tempfile.gettempdir()).resolve()
    for folder in (tmp_path, *tmp_path.parents):  # pytest's own, closed to other users
        if folder.is_relative_to(temporary) and folder != temporary:
            folder.chmod(0o755)
    (made / name).chmod(0)
    try:
        with as_other_user(), raises(RecipeError, code="damaged-model") as caught:
            look_at(made, where="base.model: x")
    finally:
        (made / name).chmod(0o755)
    file = f"base.model: x/{name}".rstrip("/")
    [facts] = [one.facts for one in caught.value.problems if str(one.facts["file"]) == file]
    assert "permission" in str(facts["why"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GGUF",
        b"GGUF" + bytes(60),
        b"no",
        bases.POINTER.encode(),
        b"GGUF\3\0\0\0" + b"\xff" * 99,
    ],
)
def test_a_damaged_gguf_is_refused(content: bytes, tmp_path: Path) -> None:
    """Pointers, empty and torn GGUF files are named."""
    (tmp_path / "a.gguf").write_bytes(content)
    file = str(tmp_path / "a.gguf")
    with raises(RecipeError, code=("damaged-model", "unusable-file")) as caught:
        base.run(base_job(file, tmp_path / "out"))
    [found] = caught.value.problems
    assert str(found.facts.get("file", found.place)).endswith(file)


def test_the_store_has_its_own_file(tmp_path: Path) -> None:
    """Later in-place edits by the owner do not change the artefact; modes follow the umask."""
    made = bases.make_base(tmp_path / "made")
    (made / WEIGHTS).chmod(0o600)
    before = (made / WEIGHTS).read_bytes()
    old = os.umask(0o002)
    try:
        base.run(base_job(str(made), tmp_path / "out"))
    finally:
        os.umask(old)
    kept = tmp_path / "out/model" / WEIGHTS
    with (made / WEIGHTS).open("r+b") as file:
        file.seek(-400, os.SEEK_END)
        file.write(bytes(400))
    assert kept.read_bytes() == before
    for path in (tmp_path / "out/model").iterdir():
        assert (path.stat().st_nlink, stat.S_IMODE(path.stat().st_mode)) == (1, 0o664), path.name


@pytest.mark.usefixtures("workdir")
def test_other_weights_in_the_owners_place_are_another_base(tmp_path: Path) -> None:
    """Another file, or the same one rewritten, gives another key."""
    project = load_project(write_project(tmp_path))
    weights = tmp_path / "model" / WEIGHTS
    before = model_entry(project, project.recipe.base)
    content = bytearray(weights.read_bytes())
    content[-8] ^= 1
    weights.write_bytes(content)
    rewritten = model_entry(project, project.recipe.base)
    weights.unlink()
    weights.write_bytes(bytes(content[:-8]) + bytes(8))
    replaced = model_entry(project, project.recipe.base)
    assert len({str(entry) for entry in (before, rewritten, replaced)}) == 3


def test_written_files_follow_the_umask(tmp_path: Path) -> None:
    """A file that a library made private is what the umask says."""
    (tmp_path / "a").touch(mode=0o600)
    old = os.umask(0o027)
    try:
        follow_umask(tmp_path / "a")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.usefixtures("workdir")
def test_a_run_ends_before_it_prepares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`finetune run` answers with one sentence and exit code 2, and makes nothing."""
    recipe = write_project(tmp_path)
    bases.drop(bases.PROJECTION)(tmp_path / "model")
    assert cli.main(["run", str(recipe)]) == 2
    said = capsys.readouterr().err
    assert bases.PROJECTION in said
    assert "Traceback" not in said
    assert not list((tmp_path / ".finetune").glob("*/*/manifest.json"))


def test_a_written_model_follows_the_umask(tmp_path: Path) -> None:
    """Weights of a conversion or a merge can be read by a group, where the umask lets it."""
    old = os.umask(0o002)
    try:
        save_model(tiny_model(), tmp_path / "model")
    finally:
        os.umask(old)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "model").iterdir()}
    assert WEIGHTS in modes
    assert set(modes.values()) == {0o664}


def test_rows_of_another_base_are_refused(tmp_path: Path) -> None:
    """New tokens far behind the rows of a base, or that start as rows it lacks, are an error."""
    model = load_base(bases.make_base(tmp_path / "made"), precision="fp32")
    for rows in (NewRows(10**12, ({5: 1.0},)), NewRows(512, ({512: 1.0},))):
        with raises(RecipeError, code="vocabulary-of-another-base", first=rows.first):
            start_rows(model, rows)
    for content in (
        "null",
        "{}",
        '{"first": -1, "tokens": []}',
        '{"first": 1, "tokens": [5]}',
        "{",
    ):
        (tmp_path / "vocabulary.json").write_text(content)
        with raises(StoreError, code="unreadable-rows", at="vocabulary.json"):
            read_rows(tmp_path)


@pytest.mark.parametrize(
    "verb", [["check"], ["estimate"], ["plan"], ["fetch"], ["tokenizer", "audit", "--base"]]
)
@pytest.mark.usefixtures("workdir")
def test_a_verb_that_looks_at_a_damaged_base_says_so(
    verb: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No verb has a traceback for a base whose JSON is null, and weights and tokenizer cut."""
    recipe = write_project(tmp_path)
    for name in (bases.CONFIG, bases.TOKENIZER):
        bases.write(name, "null")(tmp_path / "model")
    bases.cut(WEIGHTS)(tmp_path / "model")
    more = ["./model", "--text", "data_cards/lines.txt"] if "tokenizer" in verb else [str(recipe)]
    code = cli.main([*verb, *more])
    said = "".join(capsys.readouterr())
    assert "Traceback" not in said
    assert code == (0 if verb == ["plan"] else 2)
    assert verb == ["plan"] or "is no JSON object" in said


def test_a_large_vocabulary_that_is_cut_is_noticed(tmp_path: Path, constants: Constants) -> None:
    """Of a large tokenizer.json beginning and end are looked at."""
    constants(model_folder, QUICK_BYTES=1000)
    made = bases.make_base(tmp_path / "made")
    look_at(made, where="x")
    bases.cut(bases.TOKENIZER)(made)
    with raises(RecipeError, code="damaged-model", file="x/tokenizer.json"):
        look_at(made, where="x")


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a base and an adapter of rank 4."""
    folder = tmp_path_factory.mktemp("adapted")
    bases.make_base(folder / "base")
    model = attach_lora(load_base(folder / "base", precision="fp32"), Lora(rank=4), seed=0)
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    model.save_pretrained(folder / "adapter")
    return folder


@of(DAMAGED_ADAPTERS)
def test_a_damaged_adapter_is_refused_by_name(
    kind: bases.Damage, adapted: Path, tmp_path: Path
) -> None:
    """In use, and as the start of a run; no part of it is initialised anew."""
    damaged = tmp_path / "adapter"
    bases.shutil.copytree(adapted / "adapter", damaged)
    kind.change(damaged)
    model = load_base(adapted / "base", precision="fp32")
    with pytest.raises((RecipeError, StoreError)) as caught:
        load_adapter(model, damaged)
    for word in kind.words:
        assert word in str(caught.value)
    fresh = attach_lora(
        load_base(adapted / "base", precision="fp32"), Lora(rank=4, alpha=32), seed=1
    )
    if kind.name not in ("fewer targets", "no such targets"):  # the recipe's own are used there
        with pytest.raises(InputError):
            load_start(fresh, damaged, lora=Lora(rank=4, alpha=32))


def test_an_adapter_of_another_base_is_refused(adapted: Path, tmp_path: Path) -> None:
    """Other widths and layers are named."""
    for number, given in enumerate(({"hidden_size": 128}, {"layers": 1}, {"kind": "gpt2"})):
        made = bases.make_base(tmp_path / str(number), given)
        with pytest.raises(RecipeError):
            load_adapter(load_base(made, precision="fp32"), adapted / "adapter")


def test_a_sound_adapter_is_loaded_exactly(adapted: Path) -> None:
    """Its numbers are those of the file, and a run can start from them."""
    held = load_file(adapted / "adapter" / ADAPTER)
    model = load_adapter(load_base(adapted / "base", precision="fp32"), adapted / "adapter")
    found = {n.replace(".default", ""): p for n, p in model.named_parameters() if "lora_" in n}
    assert found.keys() == held.keys()
    assert all(torch.equal(found[name], held[name]) for name in held)


def test_gaps_in_names_are_reported() -> None:
    """The missing number of a sequence is named; nothing if it is complete."""
    names = [f"m.layers.{i}.experts.{j}.{w}" for i in range(2) for j in range(3) for w in "ab"]
    assert intact.gaps(names) == []
    assert intact.gaps([*names[:3], *names[4:]]) == [names[3]]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_weights_without_a_number_are_refused(
    tmp_path: Path, value: str, kind: torch.dtype
) -> None:
    """A single one makes every loss NaN, and the training would blame the texts."""
    folder = write_tiny_model(tmp_path / "model")
    weights = {n: w.to(kind) for n, w in load_file(folder / "model.safetensors").items()}
    weights["model.norm.weight"][2] = torch.finfo(kind).max
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    intact.refuse_no_numbers(folder, intact.inspect(folder, where="x"), where="x")
    weights["model.norm.weight"][3] = float(value)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RecipeError) as refused:
        intact.refuse_no_numbers(folder, intact.inspect(folder, where="x"), where="x")
    [found] = refused.value.problems
    assert (found.code, found.facts["count"]) == ("weights-not-finite", 1)
    assert found.facts["names"] == "model.norm.weight"
