"""Whatever a person types, or has in a file: a sentence and a documented exit code."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from finetune.cli import main
from tests.support.small_project import write_small_project
from tests.support.surroundings import Inside, Variables

R = "recipes/r.yaml"
DONE, REFUSED, WRONG = 0, 1, 2


@pytest.fixture
def project(tmp_path: Path, variables: Variables, inside: Inside) -> Path:
    """Return the folder of a recipe that `check` accepts; it is the working folder."""
    variables(XDG_CACHE_HOME=str(tmp_path / "cache"), XDG_CONFIG_HOME=str(tmp_path / "config"))
    inside(tmp_path)
    write_small_project(tmp_path)
    Path("site.yaml").write_text(
        'name: here\ndescription: A cluster.\nsbatch: ["#SBATCH --partition=batch"]\n'
    )
    return tmp_path


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Type a command; return exit code and all that was said, in at most 20,000 characters."""
    capsys.readouterr()
    try:
        code = main(words)
    except SystemExit as stopped:  # of the parser
        code = int(stopped.code or 0)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert len(said.err) < 20_000
    return code, said.out + said.err


LONG = "a" * 300
ODD_PATHS = (
    *(LONG, "x/" * 3000, "", " ", "~no-such-user/x", "a\0b", "a\x1bb", "a\nb", "\ud800", "\u202e"),
    *("nowhere/x", "site.yaml/x", "dangling", "circle", "circle/x"),
)
READ_ONLY = ("model", "/dev/null", "/dev/zero", "/proc/self/mem", ".", "/", "pipe", "closed/x")
READS = {
    "a recipe": ("check", "{}"),
    "a site": ("check", R, "--site", "{}"),
    "an overlay": ("check", "--site", "site.yaml", "--overlay", "{}"),
    "cards": ("cards", "list", "--cards", "{}"),
    "a card": ("cards", "check", "{}"),
    "texts to withdraw": ("cards", "withdraw", "words", "--records", "{}"),
    "texts for a card": ("cards", "new", "{}", "--language", "wol_Latn"),
    "a base": ("tokenizer", "audit", "--text", "data_cards/words.txt", "--base", "{}"),
    "a text": ("tokenizer", "audit", "--text", "{}", "--base", "./model"),
    "a bundle": ("unbundle", "{}"),
    "a text to begin with": (
        *("init", "--language", "wol_Latn", "--licence", "mit"),
        *("--text", "{}"),
    ),
    "a recipe's base": ("check", R, "--set", "base.model={}"),
    "an adapter to start from": ("check", R, "--set", "train.start_from='{}'"),
    "an adapter to compare": (
        *("check", R, "--set"),
        "evaluate.models=[{name: x, adapter: '{}', adapter_revision: '" + "1" * 40 + "'}]",
    ),
}
WRITES = {
    "a store to plan": ("plan", R, "--store", "{}"),
    "a store to list": ("runs", "--store", "{}"),
    "a store to fetch into": ("fetch", R, "--store", "{}"),
    "a store to publish from": ("publish", R, "--store", "{}"),
    "a store of chains": ("status", "--store", "{}"),
    "a chain": ("status", "{}"),
    "a table": ("cards", "review", "words", "{}"),
    "pages": ("cards", "catalogue", "{}"),
    "a fingerprint": ("cards", "fingerprint", "data_cards/words.txt", "{}"),
    "an export": ("export", R, "--format", "merged", "--out", "{}"),
    "a proposal": ("advise", "--card", "words", "--out", "{}"),
    "a phase": ("prepare", R, "--phase", "{}"),
    "a site to submit to": ("submit", R, "--site", "{}"),
}


def _odd_places(folder: Path) -> None:
    (folder / "dangling").symlink_to("nowhere")
    (folder / "circle").symlink_to("circle")
    os.mkfifo(folder / "pipe")
    (folder / "closed").mkdir(mode=0)


HEAVY = "a store to fetch into"
"""Loads transformers for a path that can be written to: the base is looked at."""


@pytest.mark.parametrize(
    "command",
    [*READS, *(w for w in WRITES if w != HEAVY), pytest.param(HEAVY, marks=pytest.mark.heavy)],
)
def test_an_odd_path_is_a_sentence_wherever_one_is_typed(
    project: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too long, empty, of control characters, a circle, a device, a pipe, no permission."""
    _odd_places(project)
    words = READS.get(command) or WRITES[command]
    for path in (*ODD_PATHS, *(READ_ONLY if command in READS else ())):
        given = [word.replace("{}", path) for word in words]
        code, said = typed(capsys, *given)
        assert code in (DONE, REFUSED, WRONG), (path[:50], said)
        assert said


class Typed(NamedTuple):
    """A command, and its expected result."""

    words: tuple[str, ...]
    code: int
    says: str


def _set(text: str, says: str, code: int = WRONG) -> Typed:
    return Typed(("check", R, "--set", text), code, says)


TYPED = {
    "digits of another script": _set("train.²=1", "unknown key"),
    "an index of another script": _set("corpora[²].card=x", "there is no"),
    "a number of another script": _set("train.max_steps=٣", "whole number"),
    "a superscript": _set("train.max_steps=²", "whole number"),
    "an index that is too large": _set("corpora[99999999999999999999].card=x", "there is no"),
    "a negative index": _set("corpora[-1].card=x", "there is no"),
    "a key of many digits": _set(f"train.{'9' * 5000}=1", "unknown key"),
    "a number of many digits": _set(f"train.seed={'9' * 5000}", "maximum size"),
    "a number for no machine": _set(f"train.seed={'9' * 30}", "64 bits"),
    "a negative seed": _set("evaluate.seed=-1", "at least 0"),
    "infinity": _set("lora.alpha=.inf", "finite"),
    "minus infinity": _set("lora.alpha=-.inf", "more than 0"),
    "not a number": _set("train.learning_rate=.nan", "more than 0"),
    "too large a float": _set("lora.alpha=1e999", "finite"),
    "a key of many levels": _set("a." * 50_000 + "b=1", "levels"),
    "brackets of many levels": _set("x=" + "[" * 200_000, "nested too deeply"),
    "braces of many levels": _set("x=" + "{a: " * 50_000, "nested too deeply"),
    "brackets in a string": _set(f"x='{'[' * 200_000}'", "unknown key"),
    "a long value": _set(f"x={'a' * 70_000}", "unknown key"),
    "a long key": _set(f"{'a' * 70_000}=1", "unknown key"),
    "a long path": _set(f"base.model=./{LONG}", "a name has at most 255"),
    "a path of many parts": _set(f"base.model=./{'x/' * 3000}", "at most 4,095"),
    "a path with NUL": _set('base.model="./a\\0b"', "U+0000"),
    "a path with an escape": _set('base.model="./a\\eb"', "U+001B"),
    "a path that reads backwards": _set('base.model="./a\\u202Eb"', "U+202E"),
    "the home of no user": _set("base.model='~no-such-user/x'", "no known user"),
    "an empty path": _set("base.model=''", "is empty"),
    "a path of spaces": _set("base.model='  '", "is empty"),
    "a base that is not there": _set("base.model=./nowhere", "there is no './nowhere'"),
    "a prompt with an index": _set("corpora[0].prompt='{text[a]}'", "a field is a name alone"),
    "a prompt with a width": _set("corpora[0].prompt='{text:>2000000000}'", "without `:`"),
    "a prompt with a conversion": _set("corpora[0].prompt='{text!r}'", "without `!`"),
    "a prompt with a number": _set("corpora[0].prompt='{0}'", "{0}: there is no such field"),
    "a prompt with an attribute": _set("corpora[0].prompt='{text.__class__}'", "name alone"),
    "a prompt with nothing": _set("corpora[0].prompt='{}'", "no such field"),
    "a prompt within a width": _set("corpora[0].prompt='{text:{text}}'", "without `:`"),
    "a prompt that opens": _set("corpora[0].prompt='{'", "write {{ and }}"),
    "a prompt that closes": _set("corpora[0].prompt='}'", "write {{ and }}"),
    "a prompt that opens a field": _set("corpora[0].prompt='{text'", "write {{ and }}"),
    "a prompt of another field": _set("corpora[0].prompt='{texts}'", "no such field"),
    "a prompt with braces that stay": _set("corpora[0].prompt='{{x}} {text}'", "valid", DONE),
    "no key": _set("=1", "write it as key=value"),
    "no equals": _set("train", "write it as key=value"),
    "nothing": _set("", "write it as key=value"),
    "no value": _set("lora=", "section"),
    "a release of nothing": _set("release=", "release: {repo: ORGANISATION/NAME}"),
    "a release of null": _set("release=null", "release: {repo: ORGANISATION/NAME}"),
    "a release that is empty": _set("release={}", "release: {repo: ORGANISATION/NAME}"),
    "a section of null": _set("train=null", "give either corpora and train, or phases"),
    "a metric twice": _set("evaluate.metrics=[chrf, chrf]", "'chrf' is there twice"),
    "an unknown metric": _set("evaluate.metrics=[no]", "is none of the metrics"),
    "a task twice": _set("evaluate.tasks=[a, a]", "'a' is there twice"),
    "an alias": _set("x=*a", "not YAML"),
    "a tag": _set("name=!!python/object:os.system {}", "name: "),
    "an escape": _set('x="\\UFFFFFFFF"', "not YAML"),
    "a control character": _set("x=\x1b", "not YAML"),
    "half a character": _set("x=\ud800", "unacceptable character"),
    "half a character, escaped": _set('corpora[0].prompt="\\ud800 {text}"', "half a character"),
    "half a character in a key": _set('"\ud800"=1', "unable to parse"),
    "half a character in a section": _set('lora={"\\udfff": 1}', "half a character"),
    "a key with an escape": _set("\x1b]0;a\x07=1", "unknown key"),
    "keys of a list": _set("corpora={0: 1}", "must be a list"),
    "no seeds": Typed(("submit", R, "--site", "site.yaml", "--seeds", ""), WRONG, "--seeds"),
    "odd seeds": Typed(("submit", R, "--site", "site.yaml", "--seeds", "²"), WRONG, "0,1,2"),
    "a seed of many digits": Typed(
        ("submit", R, "--site", "site.yaml", "--seeds", "9" * 5000), WRONG, "not a whole"
    ),
    "a seed twice": Typed(
        ("submit", R, "--site", "site.yaml", "--seeds", "1,1"), WRONG, "repeated values"
    ),
    "no languages": Typed(
        ("submit", R, "--site", "site.yaml", "--languages", ""), WRONG, "--languages"
    ),
    "an empty sweep": Typed(("submit", R, "--site", "site.yaml", "--sweep", ""), WRONG, "--sweep"),
    "a sweep of very many": Typed(
        (
            *("submit", R, "--site", "site.yaml"),
            *[w for k in "abcdefghijkl" for w in ("--sweep", f"{k}={','.join('0123456789')}")],
        ),
        WRONG,
        "1,000,000,000,000 combinations",
    ),
    "watts without end": Typed(("estimate", R, "--watts", "inf"), WRONG, "finite"),
    "watts that are no number": Typed(("estimate", R, "--watts", "nan"), WRONG, "finite"),
    "nodes of many digits": Typed(("estimate", R, "--nodes", "9" * 5000), WRONG, "--nodes"),
    "a choice that is long": Typed(("publish", R, "--hub", "x" * 70_000), WRONG, "more)"),
    "an unknown option": Typed(("check", R, "--unknown"), WRONG, "--unknown"),
    "no verb": Typed((), DONE, "VERB"),
    "a verb with an escape": Typed(("\x1b[2J",), WRONG, "there is no verb"),
    "an empty contributor": Typed(
        ("cards", "withdraw", "words", "--contributor", ""), WRONG, "--contributor: is empty"
    ),
    "an empty contributor to restore": Typed(
        ("cards", "withdraw", "words", "--undo", "--contributor", " "), WRONG, "is empty"
    ),
    "an empty card": Typed(
        ("tokenizer", "audit", "--base", "./model", "--card", ""), WRONG, "is empty"
    ),
    "an empty list of texts": Typed(
        ("cards", "withdraw", "words", "--records", ""), WRONG, "is empty"
    ),
    "a card of two dots": Typed(("cards", "check", ".."), WRONG, "no data cards there"),
    "an artefact outside": Typed(("runs", "--remove", "../../etc"), WRONG, "--remove"),
    "an artefact that is a path": Typed(("runs", "--remove", "/"), WRONG, "--remove"),
    "a name for a card that is a path": Typed(
        ("cards", "new", "data_cards/words.txt", "--language", "wol_Latn", "--name", "../x"),
        WRONG,
        "small letters",
    ),
    "a repository that is a path": Typed(
        ("cards", "publish", "words", "--repo", "../x/y"), WRONG, "ORG/NAME"
    ),
}


@pytest.mark.parametrize("case", TYPED)
def test_what_is_typed_is_answered_in_a_sentence(
    project: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 2 for what is wrong, and the message states where and what."""
    words, code, says = TYPED[case]
    found, said = typed(capsys, *words)
    assert says in said
    assert found == code


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (lambda path: path.mkdir(), "is a folder, not a file"),
    "a pipe": (os.mkfifo, "is a named pipe, not a file"),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "is a device, not a file"),
    "a dangling link": (lambda path: path.symlink_to("nowhere"), ""),
    "a circle": (lambda path: path.symlink_to(path.name), ""),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "zeros": (lambda path: path.write_bytes(bytes(1000)), ""),
    "no UTF-8": (lambda path: path.write_bytes(b"name: \xff\n"), "is not UTF-8"),
    "UTF-16": (lambda path: path.write_bytes("name: x\n".encode("utf-16")), "is not UTF-8"),
    "large": (lambda path: path.write_bytes(b"#" * 5 * 2**20), "larger than 4 MiB"),
    "many keys": (
        lambda path: path.write_text("".join(f"k{i}: 1\n" for i in range(60_000))),
        "more than 40,000 keys and values",
    ),
    "unknown keys": (
        lambda path: path.write_text("".join(f"k{i}: 1\n" for i in range(2_000))),
        "more problems",
    ),
    "one long line": (lambda path: path.write_text("x: " + "a" * 2**20), "characters of YAML"),
    "brackets": (lambda path: path.write_text("[" * 2**19), "nested too deeply"),
    "a word": (lambda path: path.write_text("hello\n"), ""),
    "a list": (lambda path: path.write_text("- a\n"), ""),
    "keys that are lists": (lambda path: path.write_text("? [a]\n: b\n"), ""),
    "several documents": (lambda path: path.write_text("a: 1\n---\nb: 2\n"), "not YAML"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_recipe_that_is_none_is_named(
    project: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither waits, nor takes all memory, nor ends in a traceback."""
    make, says = FILES[case]
    Path("odd.yaml").unlink(missing_ok=True)
    make(Path("odd.yaml"))
    code, said = typed(capsys, "check", "odd.yaml")
    assert code == WRONG
    assert "odd.yaml" in said
    assert says in said


@pytest.mark.parametrize("case", FILES)
def test_a_card_a_list_and_a_site_that_are_none_are_named(
    project: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same for every other small file that a person has."""
    make, _ = FILES[case]
    for path, words in {
        "data_cards/words.md": ("check", R),
        "data_cards/withdrawn/words.txt": ("check", R),
        "recipes/r.lock.json": ("check", R),
        "site.yaml": ("check", "--site", "site.yaml"),
    }.items():
        place = Path(path)
        place.parent.mkdir(exist_ok=True)
        before = place.read_bytes() if place.is_file() else None
        place.unlink(missing_ok=True)
        make(place)
        code, said = typed(capsys, *words)
        assert code == WRONG, (path, said)
        assert place.stem.partition(".")[0] in said
        place.rmdir() if place.is_dir() else place.unlink()
        if before is not None:
            place.write_bytes(before)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize(
    "path",
    ["recipes/r.yaml", "data_cards/words.md", "data_cards/words.txt", "data_cards", "model"],
)
def test_what_may_not_be_read_is_named(
    project: Path, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file or folder of another user."""
    Path(path).chmod(0)
    code, said = typed(capsys, "plan", R)
    Path(path).chmod(0o755)
    assert code in (REFUSED, WRONG)
    assert path in said


def test_time_grows_with_the_length_of_what_is_typed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten times as many brackets, keys or digits take no hundred times as long."""
    import time

    for make in (
        lambda n: "x=" + "[" * n,
        lambda n: "x=" + "{" * n,
        lambda n: "x=" + "- " * n,
        lambda n: f"x={'9' * n}",
        lambda n: "a." * n + "b=1",
        lambda n: "a[" * n + "=1",
        lambda n: "x={" + ", ".join(f"k{i}: 1" for i in range(n // 10)) + "}",
    ):
        began = time.process_time()
        typed(capsys, "check", R, "--set", make(100_000))
        assert time.process_time() - began < 4
