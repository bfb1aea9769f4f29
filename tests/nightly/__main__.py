"""Try all parts, or some: `python -m tests.nightly --out FILE`; Ctrl-C keeps what was done."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.nightly.parts import PARTS, Part, named
from tests.nightly.record import KEPT_FAILURES, Failure, Outcome, commit, read_record, write_record
from tests.nightly.workers import Call, Found, Workers


def main(arguments: list[str] | None = None, *, parts: tuple[Part, ...] | None = None) -> int:
    """Run the chosen parts, of `parts` if given; return 1 if anything was wrong after a trial."""
    options = _options(arguments)
    until = time.monotonic() + options.minutes * 60 if options.minutes else None
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    record = read_record(options.out)
    failed = 0
    with Workers(options.jobs) as workers:
        for part in parts or named(options.only):
            count = part.short if options.short and options.count is None else options.count
            if count == 0:
                continue
            if not part.is_here:
                print(f"{part.name}: passed over, {part.needs} is not here")
                continue
            outcome = _begun(part, seed, part.count if count is None else count)
            record.parts[part.name] = outcome
            stopped = False
            try:
                for call, found in workers.results(part, part.calls(seed, count), until=until):
                    _note(outcome, call, found)
                    write_record(record, options.out)
                    _show(outcome)
            except KeyboardInterrupt:
                stopped = True
            outcome.end = _now()
            write_record(record, options.out)
            _show(outcome, last=True)
            failed += outcome.tried - outcome.survived
            if stopped:
                print(f"stopped; what was done is in {options.out}", file=sys.stderr)
                return 130
    return int(failed > 0)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.nightly", description=__doc__)
    names = [part.name for part in PARTS]
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the record (JSON)")
    parser.add_argument("--only", action="append", choices=names, default=[], help="repeatable")
    parser.add_argument("--seed", type=int, help="of the first trial; default: drawn")
    parser.add_argument("--count", type=int, help="trials of each part")
    parser.add_argument("--short", action="store_true", help="as few trials as the slow tests do")
    parser.add_argument("--minutes", type=float, help="begin no trial after that")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    return parser.parse_args(arguments)


def _begun(part: Part, seed: int, count: int) -> Outcome:
    now = _now()
    facts = {"name": part.name, "about": part.about, "seed": seed, "asked": count}
    return Outcome.model_validate(facts | {"commit": commit(), "start": now, "end": now})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _note(outcome: Outcome, call: Call, found: Found) -> None:
    verdicts, cpu_seconds = found
    outcome.tried += len(verdicts)
    outcome.survived += sum(verdict.survived for verdict in verdicts)
    outcome.cpu_seconds = round(outcome.cpu_seconds + cpu_seconds, 1)
    outcome.end = _now()
    for verdict in verdicts:
        if verdict.survived:
            continue
        seed, count = call if verdict.seed is None else (verdict.seed, 1)
        print(f"\n{outcome.name}, seed {seed}, count {count}: {verdict.case}")
        print("".join(f"    {problem}\n" for problem in verdict.problems), end="")
        if len(outcome.failures) < KEPT_FAILURES:
            outcome.failures.append(
                Failure(seed=seed, count=count, case=verdict.case, problems=verdict.problems)
            )


def _show(outcome: Outcome, *, last: bool = False) -> None:
    begun = datetime.fromisoformat(outcome.start)
    passed = (datetime.now(UTC) - begun).total_seconds()
    left = passed / max(1, outcome.tried) * (outcome.asked - outcome.tried)
    wrong = outcome.tried - outcome.survived
    said = f"{outcome.name}: {outcome.tried} of {outcome.asked}, {wrong} with problems"
    said += f", {passed / 60:.0f} min" + ("" if last else f", {left / 60:.0f} min left")
    if last or not sys.stdout.isatty():
        print(said, flush=True)
    else:
        print(f"\r{said:<78}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
