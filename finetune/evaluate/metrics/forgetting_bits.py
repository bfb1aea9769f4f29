"""Bits per byte of languages that the base knows, to see what training costs there."""

from __future__ import annotations

from finetune.evaluate.metrics.bits_per_byte import statistics
from finetune.evaluate.outputs import Likelihood
from finetune.spec.tables.metric import Metric
from finetune.statistics.bootstrap import ratio_of_sums

METRIC = Metric(
    name="forgetting_bits",
    label="bits per byte of known languages",
    about="measures what a model has lost of a language that its base knows: more bits than the "
    "base needs are forgetting",
    hub_id="forgetting_bits",
    higher_is_better=False,
    decimals=3,
    unit="bits/byte",
    denominator="bytes",
    title="Forgetting: bits per byte of known languages",
    percent_of_base=True,
    is_judged=False,
    takes=Likelihood,
    statistics=statistics,
    value=ratio_of_sums,
)
