"""Trials that the tests of one matter bring along (`tests/support/`), as verdicts.

Every one is made in a forked child, so that whatever it does to the process is its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.nightly.forked import Ended, finetune, finish, start
from tests.nightly.kill_cases import RECIPE
from tests.nightly.kills import workplace
from tests.nightly.verdict import Verdict

CPU_SECONDS = 20
"""Of one command about one file of texts."""
Found = list[tuple[str, list[str]]]
"""Case that was tried, and its faults."""


def _in_a_child(work: Callable[[Path], Found], name: str) -> Iterator[Verdict]:
    """Do something in a forked child with a new folder; yield what it found.

    A child that dies or raises is itself a verdict.
    """
    place = workplace()
    folder = Path(tempfile.mkdtemp(dir=place.root))
    log, out = place.root / "child.log", place.root / "found.json"
    log.unlink(missing_ok=True)
    out.unlink(missing_ok=True)

    def found() -> None:
        out.write_text(json.dumps(work(folder)))

    ended = finish(start(["--version"], folder=folder, log=log, before=found), log=log)
    shutil.rmtree(folder, ignore_errors=True)
    if not out.exists():
        yield Verdict(name, (f"the child ended with {ended.code}: {ended.said[-2000:]}",))
        return
    for case, problems in json.loads(out.read_text()):
        yield Verdict(case, tuple(problems))


def archives(seed: int, count: int) -> Iterator[Verdict]:
    """Yield verdicts on bundles: every tenth made by hand, the others mutants of a sound one."""
    from tests.support import hostile_archives as hostile

    made = hostile.hostile_bundles()

    def case(number: int) -> hostile.Case:
        if number % 10 == 0:
            return made[number // 10 % len(made)]
        return list(hostile.mutants(number, 5))[number % 5]

    return _in_a_child(lambda folder: _opened(folder, case, seed, count), f"bundles from {seed}")


def npm_archives(seed: int, count: int) -> Iterator[Verdict]:
    """Yield verdicts on archives of npm: every tenth one made by hand, the others mutants."""
    from tests.support import hostile_archives as hostile

    made = list(hostile.npm_cases(0, 12))

    def case(number: int) -> hostile.Case:
        if number % 10 == 0:
            return made[number // 10 % len(made)]
        return list(hostile.npm_cases(number, 14))[-1 - number % 2]

    return _in_a_child(lambda folder: _opened(folder, case, seed, count), f"npm from {seed}")


def _opened(folder: Path, case: Callable[[int], Any], seed: int, count: int) -> Found:
    from tests.support.hostile_archives import run_case

    found = []
    for number in range(seed, seed + count):
        place = folder / str(number)
        place.mkdir()
        verdict = run_case(case(number), place)
        found.append((f"{verdict.label}: {verdict.outcome}", list(verdict.faults)))
        shutil.rmtree(place, ignore_errors=True)
    return found


def specs(seed: int, count: int) -> Iterator[Verdict]:
    """Yield verdicts on mutated recipes, cards, lists, locks, sites and options."""
    from tests.support.mutated_specs import try_mutated_specs

    def work(_: Path) -> Found:
        ended = try_mutated_specs(seed, count)
        well = sum(ended.verdicts.values()) - len(ended.bad)
        return [(said.partition(":")[0], [said]) for said in ended.bad] + [("", [])] * well

    return _in_a_child(work, f"specs of seed {seed}")


def corpora(seed: int, count: int) -> Iterator[Verdict]:
    """Yield verdicts on `cards check` and `prepare` with damaged files of every format."""
    from tests.support.hostile_corpora import mutated

    for case in mutated(seed, count):
        folder = workplace().here
        workplace().reset("fresh")
        files = {case.file: case.data}
        if case.block["format"] in ("messages", "aligned"):  # each language has a file
            files[f"en/{Path(case.file).name}"] = b'{"menu.open": "Open", "b": "c"}'
        write_card(folder, files, case.block)
        problems: list[str] = []
        for typed in (("cards", "check", "case", "--lang", "en"), ("prepare", RECIPE)):
            ended = finetune(*typed, folder=folder, before=_bounded())
            problems += _refused(ended) if ended.code != 0 else []
            if _MOVES.search(ended.said):
                problems.append("a character that moves the cursor, or hides, is printed")
        yield Verdict(case.name, tuple(problems))


def parquet(seed: int, count: int) -> Iterator[Verdict]:
    """Yield verdicts on damaged Parquet tables, which the reader takes or refuses in words."""
    from tests.support import hostile_corpora as hostile

    def work(folder: Path) -> Found:
        found = []
        for case in hostile.damaged_tables(seed, count):
            try:
                hostile.outcome(folder, case)
                found.append((case.name, []))
            except Exception as error:
                found.append((case.name, [f"{type(error).__name__}: {error}"]))
        return found

    return _in_a_child(work, f"Parquet tables of seed {seed}")


_MOVES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that no output may have; independent of the program's own list."""


def write_card(folder: Path, files: dict[str, bytes], block: dict[str, Any]) -> None:
    """Write files, the card `case` that describes them, and a recipe of it."""
    for name, content in files.items():
        path = folder / "data_cards" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    sums = [{"path": n, "sha256": hashlib.sha256(c).hexdigest()} for n, c in files.items()]
    facts = {"kind": "text", "languages": ["hau_Latn"]} | block
    facts["source"] = {"kind": "files", "files": sums}
    front = {"language": ["ha"], "license": "mit", "pretty_name": "case", "corpus": facts}
    card = f"---\n{json.dumps(front, indent=1)}\n---\n# case\n"
    (folder / "data_cards/case.md").write_text(card, encoding="utf-8")
    entry = {"card": "case"}
    if facts["kind"] == "parallel":
        entry |= {"source": facts["languages"][0], "target": facts["languages"][-1]}
    recipe = folder / RECIPE
    text = recipe.read_text(encoding="utf-8")
    begin, end = text.index("corpora:"), text.index("prepare:")
    recipe.write_text(f"{text[:begin]}corpora: [{json.dumps(entry)}]\n{text[end:]}", "utf-8")


def _bounded() -> Callable[[], None]:
    """Return what bounds a child: processor time, memory, sizes of files."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
        resource.setrlimit(resource.RLIMIT_AS, (taken + 2 * 2**30,) * 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**28,) * 2)

    return bound


def bases(seed: int, count: int) -> Iterator[Verdict]:
    """Yield verdicts on `finetune run` with bases that are damaged in one or two known ways."""
    from tests.support import damaged_bases as damaged

    place = workplace()
    with tempfile.TemporaryDirectory(dir=place.root) as folder:
        made = damaged.damaged_bases(Path(folder), seed=seed, count=count)
        for number, (name, base, words) in enumerate(made):
            ended = _run_with(base)
            problems = _refused(ended)
            if not problems and not any(word in ended.said for word in words):
                problems = [f"none of {', '.join(words)} is named: {ended.last_line}"]
            yield Verdict(f"{name} ({number})", tuple(problems))


def bent_bases(seed: int, count: int) -> Iterator[Verdict]:
    """Yield verdicts on `finetune run` with bases in which some bits or bytes are others."""
    from tests.support import damaged_bases as damaged

    place = workplace()
    with tempfile.TemporaryDirectory(dir=place.root) as folder:
        for name, base in damaged.mutated_bases(Path(folder), seed=seed, count=count):
            ended = _run_with(base)
            yield Verdict(name, tuple(_refused(ended) if ended.code != 0 else ()))


def _run_with(base: Path) -> Ended:
    place = workplace()
    place.reset("fresh")
    shutil.rmtree(place.here / "model")
    shutil.move(base, place.here / "model")
    return finetune("run", RECIPE, folder=place.here)


def _refused(ended: Ended) -> list[str]:
    """Say what is wrong with a refusal; nothing if it is one in words."""
    if ended.code is None:
        return ["it did not come back in time"]
    if ended.has_traceback:
        return [f"a traceback: {ended.last_line}"]
    if ended.code not in (1, 2):
        return [f"exit code {ended.code}: {ended.last_line}"]
    return []


def flips(seed: int, count: int) -> Iterator[Verdict]:
    """Yield verdicts on single bits flipped in the files of a finished store."""
    from tests.support.flips import flips as flipped

    workplace().reset("released")

    def work(_: Path) -> Found:
        found = []
        with contextlib.chdir(workplace().here):
            for flip in flipped(workplace().here, seed=seed, count=count):
                problems = [] if flip.verdict == "found" else [f"{flip.verdict}: {_end(flip.said)}"]
                found.append((f"bit {flip.bit} of {flip.file}", problems))
        return found

    return _in_a_child(work, f"flips of seed {seed}")


def power_cuts(seed: int, count: int) -> Iterator[Verdict]:
    """Yield verdicts on `finetune run` after the power was cut, in states drawn from one run."""
    from tests.e2e.power_cuts import replay

    with tempfile.TemporaryDirectory(dir=workplace().root) as folder:
        for verdict in replay(Path(folder), most=count, seed=seed):
            case = f"after call {verdict.calls} ({verdict.last}), lost: {verdict.loss}"
            yield Verdict(case, (verdict.problem,) if verdict.problem else ())


def _end(said: str) -> str:
    return (said.strip().splitlines() or [""])[-1][:300]
