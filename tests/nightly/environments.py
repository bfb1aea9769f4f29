"""`finetune run` on machines that are odd: limits, streams, variables, signals, masks, users.

It ends with the same adapter, or with a message of the problem; without the oddity the same
command then ends with the same adapter.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.nightly.forked import Ended, finish, start
from tests.nightly.kill_cases import RECIPE, Workplace
from tests.nightly.kills import undisturbed, workplace
from tests.nightly.same_result import contents, differences
from tests.nightly.verdict import Verdict

NOBODY = 65534
PAGE = resource.getpagesize()
ADAPTER = ".finetune/train/"


@dataclass(frozen=True, slots=True)
class Odd:
    """One way in which a machine is odd."""

    name: str
    before: Callable[[int], object] | None = None
    """In the process that starts; it is given the number that was drawn."""
    numbers: tuple[int, int] = (0, 0)
    """Between which a number is drawn."""
    variables: Mapping[str, str | None] = field(default_factory=dict)
    folder: Callable[[Path], object] | None = None
    """Preparation of the project."""
    must_work: bool = True
    """True if the command has to end well; else a sentence may say what is missing."""
    arguments: tuple[str, ...] = ("run", RECIPE)


def _few_files(number: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))


def _memory(mebibytes: int) -> None:
    """Allow so much more address space than is taken now."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * PAGE
    resource.setrlimit(resource.RLIMIT_AS, (taken + mebibytes * 2**20,) * 2)


def _small_files(kibibytes: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kibibytes * 2**10,) * 2)


def _closed(stream: int) -> Callable[[int], object]:
    def close(_: int) -> None:
        os.close(stream)
        setattr(sys, ("stdin", "stdout", "stderr")[stream], None)  # as Python finds it at its start

    return close


def _full(stream: int) -> Callable[[int], object]:
    return lambda _: os.dup2(os.open("/dev/full", os.O_WRONLY), stream)


def _ignored(*signals: signal.Signals) -> Callable[[int], object]:
    return lambda _: [signal.signal(number, signal.SIG_IGN) for number in signals]


def _mask(mask: int) -> Callable[[int], object]:
    return lambda _: os.umask(mask)


def _other_user(user: int) -> Callable[[int], object]:
    """Become another user, for whom there may be no account."""
    return lambda _: (os.setgroups([]), os.setgid(user), os.setuid(user))


def _owned(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def _read_only(folder: Path) -> None:
    _owned(folder)
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def _unreadable(name: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        _owned(folder)
        os.chown(folder / name, 0, 0)
        (folder / name).chmod(0o600)

    return change


def _variables(**values: str | None) -> Mapping[str, str | None]:
    return values


NO_HOME = {"HOME": "/nonexistent", "USER": None, "LOGNAME": None}
ODD = (
    Odd("few file descriptors", _few_files, (12, 80), must_work=False),
    Odd("little memory", _memory, (0, 1200), must_work=False),
    Odd("only small files may be written", _small_files, (1, 400), must_work=False),
    Odd("no standard input", _closed(0)),
    Odd("no standard output", _closed(1), must_work=False),
    Odd("no standard error", _closed(2)),
    Odd("a full disk under standard output", _full(1), must_work=False),
    Odd("a full disk under standard error", _full(2)),
    Odd("SIGINT and SIGTERM ignored", _ignored(signal.SIGINT, signal.SIGTERM)),
    Odd("SIGCHLD ignored", _ignored(signal.SIGCHLD)),
    Odd("SIGPIPE ignored", _ignored(signal.SIGPIPE)),
    Odd("readable by the owner only", _mask(0o077)),
    Odd("writable by all", _mask(0)),
    Odd("no HOME", variables=_variables(HOME=None)),
    Odd("HOME is empty", variables=_variables(HOME="")),
    Odd("HOME is not there", variables=_variables(HOME="/nonexistent/x")),
    Odd("HOME is a file", variables=_variables(HOME="/etc/hostname")),
    Odd("HOME is relative", variables=_variables(HOME="h")),
    Odd("a cache that cannot be written", variables=_variables(XDG_CACHE_HOME="/proc")),
    Odd("TMPDIR is not there", variables=_variables(TMPDIR="/nonexistent")),
    Odd("TMPDIR cannot be written", variables=_variables(TMPDIR="/proc")),
    Odd("a dumb terminal", variables=_variables(TERM="dumb")),
    Odd("one column", variables=_variables(COLUMNS="1")),
    Odd("COLUMNS is no number", variables=_variables(COLUMNS="x")),
    Odd("a locale that there is not", variables=_variables(LANG="xx_YY", LC_ALL="\x1b[31m")),
    Odd("no language", variables=_variables(LANG=None, LC_ALL="C", PYTHONUTF8="0")),
    Odd("RANK is no number", variables=_variables(RANK="x", WORLD_SIZE="2"), must_work=False),
    Odd("no processes", variables=_variables(RANK="0", WORLD_SIZE="0"), must_work=False),
    Odd("odd job numbers", variables=_variables(SLURM_JOB_ID="1_2", SLURM_RESTART_COUNT="-1")),
    Odd("an odd attempt", variables=_variables(FINETUNE_ATTEMPT="x#y"), must_work=False),
    Odd("notes that cannot be written", variables=_variables(FINETUNE_OUTCOMES="/proc/x")),
    Odd("FINETUNE_STORE is empty", variables=_variables(FINETUNE_STORE="")),
    Odd("threads are no number", variables=_variables(OMP_NUM_THREADS="x")),
    Odd("the hub is turned off", variables=_variables(HF_HUB_OFFLINE="1")),
    Odd("no variables at all", variables=dict.fromkeys(os.environ)),
    Odd("a user without a name", _other_user(54321), variables=NO_HOME,
        folder=lambda folder: [os.chown(p, 54321, 54321) for p in (folder, *folder.rglob("*"))]),
    Odd("a project that may only be read", _other_user(NOBODY), variables=NO_HOME,
        folder=_read_only, must_work=False),
    Odd("a corpus that may not be read", _other_user(NOBODY), variables=NO_HOME,
        folder=_unreadable("data_cards/pairs.tsv"), must_work=False),
    Odd("a card that may not be read", _other_user(NOBODY), variables=NO_HOME,
        folder=_unreadable("data_cards/pairs.md"), must_work=False),
    Odd("a model that may not be read", _other_user(NOBODY), variables=NO_HOME,
        folder=_unreadable("model/model.safetensors"), must_work=False),
    Odd("a tokenizer that may not be read", _other_user(NOBODY), variables=NO_HOME,
        folder=_unreadable("model/tokenizer.json"), must_work=False),
    Odd("a recipe that may not be read", _other_user(NOBODY), variables=NO_HOME,
        folder=_unreadable(RECIPE), must_work=False),
    Odd("a file in place of the store", folder=lambda folder: (folder / ".finetune").touch(),
        must_work=False),
    Odd("a file in place of a stage",
        folder=lambda folder: _file(folder / ".finetune/train"), must_work=False),
)  # fmt: skip


def _file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def trials(seed: int, count: int) -> Iterator[Verdict]:
    """Yield what came of `count` trials; the n-th is that of seed + n alone."""
    for number in range(seed, seed + count):
        yield trial(number)


def trial(seed: int) -> Verdict:
    """Run once on an odd machine, and once more on a sound one."""
    odd = ODD[seed % len(ODD)]
    number = random.Random(seed).randint(*odd.numbers)
    place = workplace()
    place.reset("fresh")
    name = f"{odd.name} ({number})" if odd.numbers != (0, 0) else odd.name
    if odd.folder and os.geteuid() == 0:
        odd.folder(place.here)
    ended = _run(place, odd, number)
    problems = _said(odd, ended)
    if ended.code != 0:
        _sound(place)
        again = _run(place, Odd("sound"), 0)
        if again.code != 0:
            problems.append(f"on a sound machine then: {again.code}, {again.last_line}")
    problems += _differences(place)
    return Verdict(name, tuple(problems), seed)


def _run(place: Workplace, odd: Odd, number: int) -> Ended:
    log = place.root / "odd.log"
    log.unlink(missing_ok=True)
    log.touch()
    log.chmod(0o666)
    before = odd.before
    pid = start(
        odd.arguments,
        folder=place.here,
        log=log,
        environment=odd.variables,
        before=(lambda: before(number) and None) if before else None,
    )
    return finish(pid, log=log)


def _said(odd: Odd, ended: Ended) -> list[str]:
    problems = []
    if ended.has_traceback:
        problems.append(f"a traceback: {ended.last_line}")
    if ended.code is None:
        problems.append("it did not come back in time")
    elif ended.code < 0:
        problems.append(f"it was ended by {signal.Signals(-ended.code).name}")
    elif odd.must_work and ended.code != 0:
        problems.append(f"exit code {ended.code}: {ended.last_line}")
    elif ended.code not in (0, 1, 2, 75, 120):
        problems.append(f"exit code {ended.code}, which means nothing: {ended.last_line}")
    return problems


def _sound(place: Workplace) -> None:
    """Take the oddity of the folder away, and keep what was built."""
    for path in [place.here, *place.here.rglob("*")]:
        os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)
        path.chmod(0o755 if path.is_dir() else 0o644)
    for path in (place.here / ".finetune", place.here / ".finetune/train"):
        if path.is_file():
            path.unlink()


def _differences(place: Workplace) -> list[str]:
    expected = {k: v for k, v in undisturbed("run").result.items() if k.startswith(ADAPTER)}
    found = contents(place.here)
    held = {k: v for k, v in found.items() if k.startswith(ADAPTER)}
    place.reset("fresh")
    return differences(expected, held)
