"""A chain of three jobs whose work is counting; store and Slurm see what they see of a real one.

`train` writes one line of metrics per step, a checkpoint on a signal, and resumes from it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from finetune.cluster.chain.chain import Chain, ChainJob, new_chain_id, now, write_chain
from tests.support.small_recipe import CARD, RECIPE

KEYS = {name: f"{number:016x}" for number, name in enumerate(("prepare", "train", "evaluate"))}

_HEAD = """\
#!/bin/bash
#SBATCH --job-name=ft-{name}
#SBATCH --output=logs/{name}-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --time=10
store={store}
folder={folder}
event() {{
  printf '%s\\n' "$1" >> "$folder/attempts/{name}.jsonl"
}}
mkdir -p "$folder/attempts"
size=$(stat -c %s "$folder/logs/{name}-$SLURM_JOB_ID.log")
restart=${{SLURM_RESTART_COUNT:-0}}
echo "{name}: start $restart"
event '{{"event": "start", "time": "'$(date -Is)'", "job_id": "'$SLURM_JOB_ID'", \
"restart": '$restart', "checkpoint_step": '${{checkpoint:-null}}', "log_bytes": '$size'}}'
end() {{
  event '{{"event": "end", "time": "'$(date -Is)'", "job_id": "'$SLURM_JOB_ID'", \
"restart": '$restart', "outcome": "'$1'", "checkpoint_step": '${{step:-null}}', \
"reason": "'"$2"'"}}'
}}
finish() {{
  mkdir -p "$store/{stage}"
  rm -rf "$store/{stage}.partial/checkpoints"
  mkdir -p "$store/{stage}.partial"
  (cd "{root}" && "{python}" -c 'import sys
from pathlib import Path
from tests.support.artefacts import finished
folder, steps = Path(sys.argv[1]), int(sys.argv[2])
from tests.support.results import train_result
facts = train_result(steps=steps, loss_last=1.25, tokens_per_second=2048.0)
finished(folder, key=folder.stem, result=facts)' "$store/{stage}.partial" "${{step:-0}}")
  rmdir "$store/{stage}"; mv "$store/{stage}.partial" "$store/{stage}"
  end done
}}
"""
_TRAIN = """
partial="$store/{stage}.partial"
mkdir -p "$partial/checkpoints"
step=$(ls "$partial/checkpoints" | sed 's/step-0*//; s/-.*//' | sort -n | tail -n 1)
step=${{step:-0}}
echo "resuming from the checkpoint at step $step"
stop() {{
  mkdir -p "$(printf '%s/checkpoints/step-%08d-validated-00000000' "$partial" "$step")"
  end stopped "asked to stop"
  echo "stopped after step $step"
  exit 75
}}
trap stop TERM
while [ "$step" -lt {steps} ]; do
  step=$((step + 1))
  echo '{{"kind": "train", "step": '$step', "loss": 1.5, "tokens": 1024, "seconds": 0.5}}' \
    >> "$partial/metrics.jsonl"
  echo "step $step"
  sleep 0.3 & wait
  [ -z "{fails_at}" ] || [ "$step" != "{fails_at}" ] || [ -e "$folder/repaired" ] || {{
    step= ; end failed "the loss is not a number"; exit 1; }}
done
finish
"""


def write_chain_by_hand(store: Path, *, steps: int, fails_at: int | None = None) -> Chain:
    """Write the folder of a chain with its scripts; nothing is submitted."""
    chain_id = new_chain_id("by-hand")
    folder = store / "chains" / chain_id
    jobs = []
    before: tuple[str, ...] = ()
    for name, key in KEYS.items():
        jobs.append(
            ChainJob(
                name=name,
                stages=(name,),
                script=f"scripts/{name}.sh",
                log=f"logs/{name}-%j.log",
                depends_on=before,
                total_steps=steps if name == "train" else None,
                artefacts=(f"{name}/{key}",),
            )
        )
        before = (name,)
    chain = Chain(
        folder=folder,
        id=chain_id,
        recipe="project/recipe.yaml",
        site="dev",
        created=now(),
        store=str(store),
        jobs=tuple(jobs),
        max_restarts=3,
    )
    write_chain(chain)
    _write_recipe(folder / "project")
    for part in ("scripts", "logs"):
        (folder / part).mkdir()
    for name, key in KEYS.items():
        body = _HEAD + (_TRAIN if name == "train" else "\nfinish\n")
        text = body.format(
            name=name,
            stage=f"{name}/{key}",
            store=store,
            folder=folder,
            steps=steps,
            fails_at=fails_at or "",
            root=Path(__file__).parents[2],
            python=sys.executable,
        )
        (folder / "scripts" / f"{name}.sh").write_text(text, encoding="utf-8")
    return chain


def _write_recipe(folder: Path) -> None:
    """Write a recipe that may be run, as the snapshot of a chain holds it."""
    (folder / "data_cards").mkdir(parents=True)
    texts = folder / "data_cards/words.txt"
    texts.write_text("benn\nñaar\n", encoding="utf-8")
    card = CARD.replace("0" * 64, hashlib.sha256(texts.read_bytes()).hexdigest())
    (folder / "data_cards/words.md").write_text(card, encoding="utf-8")
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")


def finetune(verb: str, *arguments: str, store: Path) -> subprocess.CompletedProcess[str]:
    """Run a verb in a process of its own: another terminal."""
    return subprocess.run(
        [sys.executable, "-m", "finetune", verb, *arguments, "--store", str(store)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ.copy(),
    )


def status_of(store: Path, *arguments: str) -> dict[str, dict[str, object]]:
    """Return what `status --json` says, by job; the chain itself is under "chain"."""
    done = finetune("status", *arguments, "--json", store=store)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {str(line.get("job", "chain")): line for line in lines}
