"""Power cuts during `finetune run`, which is typed again: `python -m tests.e2e.power_cuts WORK N`.

The run is recorded once, by strace. Then every state of the disk is laid out in turn, and the same
command is run on it in a forked child, so that the imports are paid once. Prints one JSON object a
state, and a last one with the counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.support import power_cut
from tests.support.project import write_project

COMMAND = ("run", "recipes/tiny.yaml")
ADAPTER = ".finetune/hub/org/tiny-lora/adapter_model.safetensors"
WALL_SECONDS = 300.0
NO_WAY_OUT = ("damaged", "torn", "corrupt", "cannot be read", "files are gone")
"""Nothing that was being written when the power went may be spoken of as a loss."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of the command after one power cut."""

    calls: int
    last: str
    loss: str
    problem: str
    """Empty if it ended as an undisturbed run does."""
    seconds: float
    said: str


def replay(work: Path, *, most: int, seed: int = 0) -> Iterator[Verdict]:
    """Record a run in an empty folder, then yield a verdict for each of `most` power cuts.

    Raises power_cut.IncompleteError if the recording misses something.
    """
    root = work / "root"
    root.mkdir(parents=True)
    write_project(root)
    (root / "home").mkdir()
    recording = _record(root, log=work / "strace.log")
    expected = _result(root)
    _warm(root)
    for state in power_cut.states(recording, most=most, seed=seed):
        shutil.rmtree(root)
        power_cut.write(state.left, root)
        began = time.monotonic()
        code, said = _again(root, log=work / "said.txt")
        problem = _problem(code, said, found=_result(root), expected=expected)
        yield Verdict(
            state.calls,
            state.last.replace(str(root), ""),
            state.loss.value,
            problem,
            round(time.monotonic() - began, 2),
            said if problem else "",
        )


def _record(root: Path, *, log: Path) -> power_cut.Recording:
    environment = os.environ | {
        "HOME": str(root / "home"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "finetune", *COMMAND]
    try:
        return power_cut.record(command, root=root, log=log, environment=environment)
    finally:
        log.unlink(missing_ok=True)


def _result(root: Path) -> tuple[str, list[str]]:
    """Return the checksum of the released adapter, and the names of everything in the store."""
    adapter, store = root / ADAPTER, root / ".finetune"
    found = hashlib.sha256(adapter.read_bytes()).hexdigest() if adapter.is_file() else "none"
    return found, sorted(path.relative_to(store).as_posix() for path in store.rglob("*"))


def _warm(root: Path) -> None:
    """Import all that a run imports."""
    code, said = _run(root, log=root.parent / "said.txt")
    assert code == 0, said[-4000:]


def _run(root: Path, *, log: Path) -> tuple[int, str]:
    from finetune.cli import main

    shutil.rmtree(root / ".finetune", ignore_errors=True)
    before, here = os.environ.get("HOME", ""), Path.cwd()
    os.environ["HOME"] = str(root / "home")
    os.chdir(root)
    out = os.dup(1)
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        try:
            code = main(COMMAND)
        finally:
            sys.stdout.flush()
            os.dup2(out, 1)
            os.close(out)
            os.chdir(here)
            os.environ["HOME"] = before
    return code, log.read_text()


def _again(root: Path, *, log: Path) -> tuple[int | None, str]:
    """Type the command again, on a machine that was started anew; None: it was not back in time."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            with log.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            code = _after_the_cut(root)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code & 255)
    end = time.monotonic() + WALL_SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), log.read_text("utf-8", "replace")
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None, log.read_text("utf-8", "replace")


def _after_the_cut(root: Path) -> int:
    from finetune.cli import main
    from finetune.pipeline import builder, lease

    builder.boot_id = lambda: "after the power cut"  # type: ignore[assignment]
    lease.HEARTBEAT_SECONDS, lease.STALE_SECONDS, lease.POLL_SECONDS = 0.1, 1.0, 0.05
    os.environ["HOME"] = str(root / "home")
    os.chdir(root)
    return main(COMMAND)


def _problem(
    code: int | None,
    said: str,
    *,
    found: tuple[str, list[str]],
    expected: tuple[str, list[str]],
) -> str:
    if code is None:
        return f"not back after {WALL_SECONDS:.0f} s"
    if "Traceback" in said:
        return f"a traceback: {said.strip().splitlines()[-1]}"
    if code != 0:
        return f"exit code {code}: {said.strip().splitlines()[-1:]}"
    if found[0] != expected[0]:
        return f"another adapter: {found[0]}"
    if found[1] != expected[1]:
        return f"other files: {sorted(set(found[1]) ^ set(expected[1]))[:8]}"
    lines = [line for line in said.splitlines() if any(word in line for word in NO_WAY_OUT)]
    return f"said: {lines[0]}" if lines else ""


def main() -> None:
    import torch

    torch.set_num_threads(1)
    verdicts = []
    for verdict in replay(Path(sys.argv[1]), most=int(sys.argv[2])):
        verdicts.append(verdict)
        print(json.dumps(asdict(verdict)), flush=True)
    bad = sum(bool(verdict.problem) for verdict in verdicts)
    print(json.dumps({"states": len(verdicts), "problems": bad}))


if __name__ == "__main__":
    main()
