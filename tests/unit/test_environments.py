"""Shells and machines as they are: closed and full streams, limits, locales, odd variables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.cli import UNREAD, main
from tests.support.failing_verb import failing
from tests.support.small_project import write_small_project
from tests.support.surroundings import Inside, Variables

RUN = (
    f"{sys.executable} -c 'import sys; from finetune.cli import main; sys.exit(main(sys.argv[1:]))'"
)
OK, REFUSED, WRONG = 0, 1, 2


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a recipe that `check` and `plan` accept."""
    return write_small_project(tmp_path_factory.mktemp("project"))


def shell(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script in which `finetune` is this checkout; 70 and a traceback are never right."""
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail\nfinetune() {{ {RUN} "$@"; }}\n{script}'],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": root, **variables},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )
    assert done.returncode != 70, done.stderr
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr
    return done


SHELLS: dict[str, tuple[str, int, str]] = {
    "the reader is gone": ("finetune check recipes/r.yaml | true", UNREAD, ""),
    "output closed": ("finetune check recipes/r.yaml >&-", OK, ""),
    "input closed": ("finetune check recipes/r.yaml <&-", OK, "valid"),
    "all closed": ("finetune check recipes/r.yaml >&- 2>&- <&-", OK, ""),
    "output full": (
        "finetune plan recipes/r.yaml >/dev/full",
        REFUSED,
        "standard output cannot be written to: No space left on device",
    ),
    "errors full": ("finetune check none.yaml 2>/dev/full", WRONG, ""),
    "errors closed": ("finetune check none.yaml 2>&-", WRONG, ""),
    "both full": ("finetune plan recipes/r.yaml >/dev/full 2>/dev/full", REFUSED, ""),
    "few files": ("ulimit -n 24; finetune check recipes/r.yaml", OK, "valid"),
    "no file may grow": (
        "ulimit -f 0; finetune cards catalogue site",
        WRONG,
        "site/index.html: cannot be written: File too large",
    ),
    "little memory": ("ulimit -v 30000; finetune plan recipes/r.yaml", REFUSED, "ulimit -v"),
}


@pytest.mark.parametrize("case", SHELLS)
def test_a_shell_that_closes_fills_or_limits_gets_a_sentence(project: Path, case: str) -> None:
    """The exit code is a documented one, and what can be said is reported."""
    script, code, says = SHELLS[case]
    done = shell(script, project)
    assert done.returncode == code, done.stderr
    assert says in done.stdout + done.stderr


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1", "LC_ALL": "tr_TR.UTF-8"},
    ],
)
def test_letters_that_an_encoding_does_not_have_are_escaped(
    project: Path, variables: dict[str, str]
) -> None:
    """Text output is escaped, and JSON output stays valid JSON."""
    done = shell("finetune check recipes/r.yaml --json", project, **variables)
    assert done.returncode == 0, done.stderr
    assert any("who wrote ƙ and 𞤀" in str(json.loads(row)) for row in done.stdout.splitlines())


def test_names_that_are_no_utf8_are_shown(project: Path) -> None:
    """A file name of another encoding is refused with its bytes escaped."""
    done = shell("finetune check $'\\xff.yaml'", project)
    assert done.returncode == 2
    assert "\\udcff" in done.stderr


VARIABLES: dict[str, tuple[dict[str, str | None], int, str]] = {
    "no home": ({"HOME": None}, OK, "valid"),
    "home is a file": ({"HOME": "recipes/r.yaml"}, OK, "valid"),
    "home is nowhere": ({"HOME": "/proc/nowhere/at/all"}, OK, "valid"),
    "home is empty": ({"HOME": ""}, OK, "valid"),
    "no folder for temporary files": ({"TMPDIR": "/nowhere"}, OK, "valid"),
    "a cache below a file": ({"XDG_CACHE_HOME": "recipes/r.yaml/x"}, OK, "valid"),
    "no columns": ({"COLUMNS": "0"}, OK, "valid"),
    "odd columns": ({"COLUMNS": "²", "LINES": "x"}, OK, "valid"),
    "odd terminal": ({"TERM": "bad"}, OK, "valid"),
    "a rank that is a word": ({"RANK": "x"}, REFUSED, "RANK is 'x'"),
    "a rank of another script": ({"RANK": "²", "WORLD_SIZE": "2"}, REFUSED, "RANK is '²'"),
    "a rank of many digits": ({"RANK": "9" * 5000}, REFUSED, "not a number"),
    "an empty rank": ({"RANK": ""}, REFUSED, "RANK is ''"),
    "a world of size 0": ({"RANK": "0", "WORLD_SIZE": "0"}, REFUSED, "contradict each other"),
    "a world without ranks": ({"WORLD_SIZE": "0"}, OK, "valid"),
    "a world of words": ({"WORLD_SIZE": "many"}, REFUSED, "WORLD_SIZE is 'many'"),
    "ranks that cannot meet": ({"RANK": "0", "WORLD_SIZE": "2"}, REFUSED, "MASTER_ADDR is not"),
    "tasks that are a word": (
        {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "x"},
        REFUSED,
        "SLURM_STEP_NUM_TASKS is 'x'",
    ),
    "two tasks of a verb of one process": (
        {
            "SLURM_STEP_ID": "0",
            "SLURM_STEP_NUM_TASKS": "2",
            "SLURM_STEP_TASKS_PER_NODE": "2",
            "SLURM_PROCID": "1",
            "SLURM_LOCALID": "1",
        },
        WRONG,
        "srun started 2 tasks",
    ),
    "processes of mpirun": ({"OMPI_COMM_WORLD_SIZE": "2"}, REFUSED, "mpirun started 2"),
    "odd numbers of a job": (
        {"SLURM_JOB_ID": "²", "SLURM_RESTART_COUNT": "x", "SLURM_STEP_ID": "#"},
        OK,
        "valid",
    ),
    "an odd attempt": ({"FINETUNE_ATTEMPT": "x#y"}, OK, "valid"),
    "an odd endpoint": ({"HF_ENDPOINT": "::not an address::"}, OK, "valid"),
    "odd threads": ({"OMP_NUM_THREADS": "²"}, OK, "valid"),
    "an empty store": ({"FINETUNE_STORE": ""}, OK, "valid"),
    "a store that is a file": (
        {"FINETUNE_STORE": "recipes/r.yaml"},
        WRONG,
        "--store: recipes/r.yaml is not a folder",
    ),
    "a store below a file": ({"FINETUNE_STORE": "recipes/r.yaml/x"}, WRONG, "is below"),
    "a store with a long name": ({"FINETUNE_STORE": "x" * 300}, WRONG, "at most 255"),
    "a store of no user": ({"FINETUNE_STORE": "~no-such-user/x"}, WRONG, "no known user"),
    "an empty folder of outcomes": ({"FINETUNE_OUTCOMES": ""}, OK, "valid"),
}


@pytest.mark.parametrize("case", VARIABLES)
def test_an_odd_variable_is_named_or_does_not_matter(
    project: Path,
    case: str,
    monkeypatch: pytest.MonkeyPatch,
    variables: Variables,
    inside: Inside,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`check` answers as ever, or states which variable is wrong."""
    odd, code, says = VARIABLES[case]
    inside(project)
    for name, value in odd.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            variables(**{name: value})
    with pytest.raises(SystemExit) as stopped:  # the parser's own way to end
        sys.exit(main(["check", "recipes/r.yaml"]))
    found = stopped.value.code
    said = capsys.readouterr()
    assert says in said.out + said.err
    assert found == code


def test_an_empty_store_is_the_usual_one(
    project: Path,
    variables: Variables,
    inside: Inside,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """FINETUNE_STORE= does not make the working folder the store."""
    inside(project)
    for value in ("", "  "):
        variables(FINETUNE_STORE=value)
        assert main(["plan", "recipes/r.yaml", "--json"]) == 0
        rows = [json.loads(row) for row in capsys.readouterr().out.splitlines()]
        places = [Path(row["path"]) for row in rows if "path" in row]
        assert places
        assert all(place.is_relative_to(project / ".finetune") for place in places)


def test_a_mistake_of_ours_is_one_sentence_and_exit_code_70(
    project: Path, inside: Inside, capsys: pytest.CaptureFixture[str]
) -> None:
    """-v shows where it happened; without it there is no traceback."""
    inside(project)
    verbs = failing("check", KeyError("surprise"))
    assert main(["check", "recipes/r.yaml"], verbs=verbs) == 70
    said = capsys.readouterr().err
    assert "this is a bug in finetune: KeyError: 'surprise'" in said
    assert "finished stages are kept" in said
    assert "Traceback" not in said
    assert main(["check", "recipes/r.yaml", "-v"], verbs=verbs) == 70
    assert "Traceback" in capsys.readouterr().err
    assert main(["check", "recipes/r.yaml", "--json"], verbs=verbs) == 70
    assert json.loads(capsys.readouterr().out)["kind"] == "UnexpectedError"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "out of memory"),
        (RecursionError("x"), "nested too deeply"),
        (OSError(24, "Too many open files", "a.txt"), "ulimit -n"),
        (OSError(27, "File too large"), "ulimit -f"),
        (PermissionError(13, "Permission denied", "a.txt"), "a.txt: Permission denied"),
        (FileNotFoundError(2, "No such file or directory", "a.txt"), "was it removed meanwhile"),
        (OSError(36, "File name too long", "a" * 300), "name a shorter one"),
        (RuntimeError("can't start new thread"), "ulimit -u"),
        (ImportError("x.so: failed to map segment from shared object"), "not enough memory"),
    ],
)
def test_what_the_machine_refuses_is_said_with_a_remedy(
    project: Path,
    error: Exception,
    says: str,
    inside: Inside,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 1 and no traceback, wherever it was raised."""
    inside(project)
    assert main(["check", "recipes/r.yaml"], verbs=failing("check", error)) == 1
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


def test_a_terminal_that_is_closed_ends_the_questions(tmp_path: Path) -> None:
    """The end of input is an answer too: nothing is written, and no traceback is shown."""
    keyboard, terminal = os.openpty()
    os.write(keyboard, b"\x04")  # Ctrl-D
    try:
        done = subprocess.run(
            [sys.executable, "-m", "finetune", "cards", "new"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=terminal,
            stdout=terminal,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert (done.returncode, list(tmp_path.iterdir())) == (WRONG, [])
    assert b"not all questions were answered" in done.stderr
    assert b"Traceback" not in done.stderr
