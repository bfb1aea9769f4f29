"""Headings and explanations of a report."""

from __future__ import annotations

from collections.abc import Mapping

from finetune.messages import Sentence, sentence
from finetune.spec.tables.metric import FIDELITY
from finetune.spec.terms.term_sentences import TERMS_HEADING

WORDS: Mapping[str, Sentence] = {
    "report": sentence("Report"),
    "several-runs": sentence("Report on runs"),
    "sweep": sentence("Report on a sweep"),
    "choice": sentence(
        "The runs are sorted by validation, best first. Choose by validation: the best of several "
        "test scores is no claim, since it was chosen by the test."
    ),
    "unfinished": sentence("not evaluated yet"),
    "runs": sentence("Runs"),
    "run": sentence("run"),
    "repo": sentence("repository"),
    "state": sentence("state"),
    "steps": sentence("steps"),
    "seed": sentence("seed"),
    "validation": sentence("validation, bits/byte"),
    "samples": sentence("Samples"),
    "samples-help": sentence(
        "Items chosen by the hash of their texts, without selection; the same ones for every run."
    ),
    "more-samples": sentence("More samples"),
    "no-samples": sentence("There are no generations here."),
    "source": sentence("source"),
    "reference": sentence("reference"),
    "empty": sentence("(empty)"),
    "scores": sentence("Scores"),
    "gain": sentence("gain over base"),
    "gains": sentence("Gain by language"),
    "gains-help": sentence(
        "Right of the line the adapter is better. A dot is the gain over the base with its 95 % "
        "interval; a square is the gain over a yardstick. Only what is better than base and every "
        "yardstick counts as a gain."
    ),
    "language": sentence("language"),
    "base": sentence("base"),
    "adapter": sentence("adapter"),
    "items": sentence("items"),
    "verdict": sentence("verdict"),
    "beside-first": sentence("against first run"),
    "beside-first-help": sentence(
        "Against the first run: adapter minus the first run's adapter on the same items, with its "
        "interval and p-value, not adjusted for the number of runs."
    ),
    "scores-help": sentence(
        "Brackets are 95 % bootstrap intervals over whole documents. The adapter is called better "
        "only if it beats the base and each yardstick, by the minimum effect and on enough items."
    ),
    "lower": sentence("lower is better"),
    "higher": sentence("higher is better"),
    "not-compared": sentence("Not compared with the rows above, which differ in this"),
    "seeds": sentence("Several seeds"),
    "seeds-help": sentence(
        "Mean and standard deviation over seeds, and each value. The test of the mean exchanges "
        "whole documents: it speaks of these seeds on other texts."
    ),
    "by-seed": sentence("by seed"),
    "mean": sentence("mean ± sd"),
    "difference": sentence("difference"),
    "p": sentence("p"),
    "better-in": sentence("better in"),
    "loss": sentence("Loss"),
    "loss-train": sentence("Training loss, nats per target token"),
    "loss-validation": sentence("Validation, bits per byte"),
    "lengths": sentence("Bits per byte by length of text"),
    "lengths-help": sentence(
        "Dots are adapters, squares are the base and the yardsticks. Short texts are few bytes, so "
        "that their numbers scatter. Lower is better."
    ),
    "bytes": sentence("bytes"),
    "funnel": sentence("From texts read to texts trained on"),
    "terms": sentence("Terms of the communities"),
    "terms-help": TERMS_HEADING,
    "read": sentence("texts read"),
    "train": sentence("for training"),
    "valid": sentence("for validation"),
    "test": sentence("held out for the test"),
    "trained": sentence("tokens trained on, with repetitions"),
    "outputs": sentence("Language, repetition and copies"),
    "outputs-help": sentence(
        "In the language: outputs that were identified as in the language. Fidelity: their share, "
        "divided by that of the references. Repetition: share of the character 4-grams of an "
        "output that stood in it before. Copies: outputs that are their source again."
    ),
    "system": sentence("system"),
    "in-language": sentence("in the language"),
    "unknown": sentence("unknown"),
    FIDELITY: sentence("fidelity"),
    "repetition": sentence("repetition"),
    "copies": sentence("copies"),
    "empty-outputs": sentence("empty"),
    "words": sentence("different words"),
    "costs": sentence("Energy and cost"),
    "energy": sentence("energy, kWh"),
    "grams": sentence("g CO2 equivalent"),
    "grid": sentence("carbon intensity of the grid"),
    "grams-on": sentence("Grams of CO2 equivalent on other grids"),
    "grams-help": sentence(
        "Grams are stated where recipe or site names the figure of its grid. The grids of 30, 300 "
        "and 700 g/kWh are an illustration, of no country. Cooling and the making of machines are "
        "not counted."
    ),
    "by-stage": sentence("Energy by stage"),
    "not-metered": sentence("not metered"),
    "gpu-hours": sentence("GPU-hours"),
    "process-hours": sentence("process-hours"),
    "time": sentence("time of training"),
    "speed": sentence("tokens per second"),
    "method": sentence("measured by"),
    "timeline": sentence("Timeline"),
    "timeline-help": sentence(
        "Stages as they were built, attempts at the training run, and jobs on a cluster; a stage "
        "that was there already stands at the time at which it was built. Times are UTC."
    ),
    "stage": sentence("stage or job"),
    "start": sentence("start"),
    "duration": sentence("duration"),
    "outcome": sentence("outcome"),
    "signatures": sentence("Conditions of the scores"),
    "part": sentence("steps, and parts of the time"),
    "killed": sentence("killed, or still running"),
    "done": sentence("done"),
    "stopped": sentence("stopped"),
    "failed": sentence("failed"),
    "crashed": sentence("crashed"),
}
