"""Time guard of CI: a test that takes longer than its suite allows is named here with a reason.

`tests/conftest.py` takes the hooks. A test over its limit is listed at the end of a run. It does
not fail: a test takes twice as long beside other work. `.ci/run` limits the whole instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import pytest

QUICK_SECONDS = 30.0
"""Of a test of `make test`: set-up, call and tear-down."""
SLOW_SECONDS = 120.0
"""Of a test of `make test-slow`, with two other workers on two cores."""
ALLOWED: Mapping[str, tuple[float, str]] = {
    "tests/cluster/test_evaluation_tasks.py::test_a_killed_task_changes_no_score": (
        240,
        "a whole chain, and an evaluation by one process to compare with",
    ),
    "tests/cluster/test_sweep.py::test_a_sweep_ends_in_one_table_even_if_tasks_fail": (
        300,
        "an array of training runs, one of them killed, one preempted, on four nodes",
    ),
    "tests/cluster/test_sweep.py::test_cancel_ends_a_whole_array_and_resubmit_resumes_elsewhere": (
        180,
        "an array that is cancelled and trained again on another partition",
    ),
    "tests/cluster/test_packing.py::test_a_stop_in_the_middle_repeats_only_what_is_not_done": (
        240,
        "three training runs, stopped and resumed, their evaluations, and a run to compare with",
    ),
    "tests/cluster/test_survival.py::test_a_site_without_requeueing_continues_in_new_jobs": (
        180,
        "two jobs of one chain, and Slurm looks at preemption every 30 s",
    ),
    "tests/cluster/test_nasty_site.py::test_a_chain_ends_right[short]": (
        180,
        "a whole chain, stopped once, with commands of Slurm that fail and are repeated",
    ),
    "tests/parity/test_fake_cuda.py::test_the_branch_of_a_gpu_is_right_on_fake_tensors": (
        600,
        "a suite of its own in a process of its own: all architectures, sizes and mutations",
    ),
    "tests/ranks/test_evaluation.py::test_two_ranks_measure_what_one_process_does": (
        240,
        "trains an adapter, then evaluates it in one process and in a launch of two",
    ),
    "tests/ranks/test_evaluation.py::test_one_process_resumes_what_two_ranks_began": (
        240,
        "the same, and a launch that is killed before",
    ),
    "tests/ranks/test_half_precision.py"
    "::test_two_ranks_learn_in_half_precision_and_continue_bit_identically[bf16-ddp]": (
        240,
        "sets up the one launch of two ranks that all tests of the file read",
    ),
    "tests/ranks/test_sharding.py::test_two_ranks_train_what_one_does[ddp]": (
        240,
        "sets up the one launch of two ranks that all tests of the file read",
    ),
    "tests/ranks/test_sharding.py::test_four_ranks_train_what_one_does[ddp]": (
        240,
        "sets up the one launch of four ranks, which share two cores",
    ),
    "tests/cluster/test_survival.py::test_one_job_makes_every_stage_and_is_requeued": (
        180,
        "every stage of a chain on two nodes, requeued in its training",
    ),
    "tests/e2e/test_erasure.py::test_a_withdrawn_sentence_is_nowhere_in_the_end": (
        240,
        "the whole line twice, each time with all that is made of a release",
    ),
    "tests/e2e/test_plain_script.py::test_a_script_under_bash_loses_nothing": (
        180,
        "four starts of a training run, three of them stopped or killed",
    ),
    "tests/unit/cluster/test_gpu_trial.py::test_every_check_runs_on_a_cpu": (
        60,
        "all checks of a GPU, with three training runs",
    ),
    "tests/unit/verbs/test_json.py::test_every_line_is_an_object_that_the_page_describes": (
        60,
        "sets up one project in which every verb is run for all tests of the file",
    ),
    "tests/cluster/test_survival.py::test_a_chain_survives_all_that_a_cluster_does_to_it": (
        300,
        "nine attempts of one chain, and Slurm looks at time limits every 30 s",
    ),
    "tests/cluster/test_survival.py::test_paths_of_any_characters_and_files_of_a_chain": (
        240,
        "starts the cluster and runs the undisturbed chain that all tests of the file compare with",
    ),
    "tests/cluster/test_survival.py::test_two_nodes_survive_the_loss_of_a_rank_and_of_a_node": (
        240,
        "two chains of two ranks; Slurm notices a lost node after its own patience",
    ),
}
"""Test, the seconds that it may take, and why it cannot be shorter."""

_seconds: dict[str, float] = defaultdict(float)
_slow: set[str] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up set-up, call and tear-down of each test; workers report to the process that ends."""
    _seconds[report.nodeid] += report.duration
    if "slow" in report.keywords:
        _slow.add(report.nodeid)


def too_long(
    seconds: Mapping[str, float], slow: set[str], allowed: Mapping[str, tuple[float, str]]
) -> list[str]:
    """Return a line for each test over its limit, the slowest first."""
    lines = []
    for test, took in sorted(seconds.items(), key=lambda item: -item[1]):
        limit = SLOW_SECONDS if test in slow else QUICK_SECONDS
        limit, _ = allowed.get(test, (limit, ""))
        if took > limit:
            lines.append(f"{test}: {took:.0f} s, allowed {limit:.0f} s")
    return lines


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the tests that took too long, with what to do."""
    lines = too_long(_seconds, _slow, ALLOWED)
    if lines:
        terminalreporter.section("tests over their time")
        terminalreporter.line("\n".join(lines))
        terminalreporter.line(
            "make it faster, move its long form to `make nightly`, or give it a row with a reason "
            "in tests/support/time_guard.py"
        )
