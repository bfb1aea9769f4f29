"""Typed results of the stages, as their manifests hold them in JSON, and the checked reader.

A stage builds one of these classes and returns `as_json` of it; later stages, verbs and the Python
API read it back with `read_result`. Fields that older versions did not record have a default;
fields of newer versions are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from finetune.artefacts.emissions import Energy
from finetune.artefacts.gates.result import GateResult
from finetune.artefacts.job import Artifact
from finetune.artefacts.model_comparisons import ModelComparison
from finetune.artefacts.other_documents import DocumentCounts, OtherDocuments
from finetune.artefacts.outputs.output_facts import GroupOutputs, HardInputs
from finetune.artefacts.remake import how_to_remake
from finetune.artefacts.scores import SPARSE, ItemFile, Pair, PairedTest, Score, Subject, subject
from finetune.errors import StoreError
from finetune.messages import Place, problem
from finetune.mix.allocate import Subset
from finetune.mix.mixture_plan import DrawnGroup, Interval
from finetune.spec.sections.training import Precision
from finetune.spec.terms.strictest import StrictestTerms

_Value = TypeVar("_Value")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class PerSystem(Generic[_Value]):
    """The same quantity of base and adapter."""

    base: _Value
    adapter: _Value


@dataclass(frozen=True, slots=True)
class PerVocabulary(Generic[_Value]):
    """The same quantity with the base's tokenizer and with the extended one."""

    base: _Value
    extended: _Value


@dataclass(frozen=True, slots=True)
class BaseResult:
    """Result of the stage `base`: the open model in the store."""

    hub_id: str
    parameters: int
    revision: str | None = None
    """Commit on the Hub."""
    licence: str | None = None
    dequantized: bool = False
    """True if quantised weights of a GGUF file were multiplied out."""
    source: str = ""
    """`Hub ORG/NAME@COMMIT`, or the kind and name of a file or folder, without its path."""


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """Size of a prepared split."""

    documents: int
    rows: int
    """Packed sequences."""
    tokens: int
    supervised_tokens: int


@dataclass(frozen=True, slots=True)
class PreparedCounts:
    """Sizes of the three splits."""

    train: SplitCounts
    validation: SplitCounts
    test: SplitCounts


@dataclass(frozen=True, slots=True)
class LanguageCounts:
    """Size of the target text of a language, and how the tokenizer fits it."""

    documents: int
    splits: Mapping[str, int] = field(default_factory=dict)
    """Split -> documents."""
    words: int = 0
    bytes: int = 0
    tokens: int = 0
    bytes_per_token: float = 0.0
    tokens_per_word: float = 0.0
    """Fertility."""


@dataclass(frozen=True, slots=True)
class PrepareResult:
    """Result of the stage `prepare`: the packed splits of a phase."""

    languages: tuple[str, ...]
    """In the order that `documents.npy` counts."""
    cards: tuple[str, ...]
    counts: PreparedCounts
    per_language: Mapping[str, LanguageCounts] = field(default_factory=dict)
    subsets: tuple[Subset, ...] | None = None
    """Training split by language and card; None in artefacts older than data mixtures."""
    rejected: Mapping[str, int] | None = None
    """Reason -> texts; None in artefacts that did not record it."""
    documents: tuple[DocumentCounts, ...] = ()
    """By card; empty in artefacts older than documents that are held out as a whole."""
    chat_template: str | None = None
    system_message: str | None = None
    """Content of the system message of conversations without one; None: none is written."""
    system_role: bool = True
    """False: the template has no system role, so that content stands before the question."""
    energy: Energy | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Validation texts in a tokenizer extended by `size` tokens; ratios by language."""

    size: int
    tokens: int
    bytes_per_token: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ProtectedTexts:
    """Texts in protected languages, tokenized before and after the extension."""

    texts: int
    changed: int
    tokens_before: int
    tokens_after: int


@dataclass(frozen=True, slots=True)
class VocabularyResult:
    """Result of the stage `vocabulary`: an extended tokenizer."""

    languages: tuple[str, ...]
    protect: tuple[str, ...]
    init: str
    """Initialisation of the new embedding rows."""
    tokens: int
    """New tokens."""
    first: int
    """Id of the first new token."""
    vocabulary: int
    """Embedding rows that the extended tokenizer needs."""
    curve: tuple[CurvePoint, ...]
    bytes_per_token: Mapping[str, PerVocabulary[float]]
    """By language, on validation texts."""
    validation_tokens: PerVocabulary[int]
    whole_words: bool
    """True if words that the base splits at combining marks are kept whole."""
    marks: str
    tokens_if_split_the_other_way: int | None
    left_out_to_protect: int
    """Tokens removed because they would change texts in protected languages."""
    protected: ProtectedTexts
    """Texts that took part in learning."""
    protected_held_back: ProtectedTexts
    """Texts on which the effect was only measured."""
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Validation:
    """Scores of a validation during training, by language."""

    step: int
    train_loss: float | None
    """Nats per supervised token, of the last step."""
    bits_per_byte: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Seen:
    """Text of a language and card that a training run has seen."""

    language: str
    card: str
    replay: bool
    tokens: int
    """With repetitions."""
    unique_tokens: int
    epochs: float
    """Mean number of times that a token was seen."""

    @property
    def repeated_tokens(self) -> int:
        """Tokens of the second and later passes."""
        return self.tokens - self.unique_tokens


@dataclass(frozen=True, slots=True)
class RecordedMixture:
    """The data mixture of a training run: its settings, what was planned, and notes."""

    settings: Mapping[str, Any]
    """`spec.mixture.DataMixture` as JSON."""
    groups: tuple[str, ...] = ()
    intervals: tuple[Interval, ...] = ()
    planned: tuple[DrawnGroup, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainResult:
    """Result of the stage `train`: an adapter."""

    steps: int
    best_step: int
    """Step with the best validation; its adapter is the one that is kept."""
    tokens: int
    """Tokens trained on, without padding."""
    supervised_tokens: int
    precision: Precision
    trainable_parameters: int
    micro_batch_rows: int = 0
    """Packed sequences per micro-batch."""
    sharding: str = "none"
    ranks: int = 1
    seconds: float = 0.0
    tokens_per_second: float = 0.0
    validation_bits_per_byte: Mapping[str, float] = field(default_factory=dict)
    """Best validation, by language."""
    history: tuple[Validation, ...] = ()
    loss_first: float | None = None
    loss_last: float | None = None
    energy: Energy | None = None
    energy_before: tuple[Energy | None, ...] = field(default=(), metadata=SPARSE)
    """Of the phases before this one; None where one was not metered."""
    mixture: RecordedMixture | None = None
    """None without a data mixture."""
    seen: tuple[Seen, ...] | None = None
    """None in artefacts older than data mixtures."""
    seen_before: tuple[tuple[Seen, ...], ...] = ()
    """Of the phases before this one, in order; so are their steps."""
    steps_before: tuple[int, ...] = field(default=(), metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class ComparedDocuments:
    """Test documents that both tokenizers keep, and those that only one of them keeps."""

    compared: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Extension:
    """Effect of an extended vocabulary, measured on the test texts."""

    new_tokens: int
    documents: ComparedDocuments
    bytes_per_token: Mapping[str, PerSystem[float]]
    """By language."""
    tokens_per_second: PerSystem[float | None]
    """Speed of generation; None without a prompt."""
    training_tokens: PerSystem[int]


@dataclass(frozen=True, slots=True)
class EvaluateResult:
    """Result of the stage `evaluate`, also written as scores.json."""

    scores: tuple[Score, ...]
    comparisons: tuple[PairedTest, ...]
    extension: Extension | None = field(default=None, metadata=SPARSE)
    """None unless the vocabulary was extended."""
    items: tuple[ItemFile, ...] = field(default=(), metadata=SPARSE)
    """Files of the scores per item."""
    other_documents: tuple[OtherDocuments, ...] = field(default=(), metadata=SPARSE)
    """Scores on documents and cards that were held out as a whole."""
    documents: tuple[DocumentCounts, ...] = field(default=(), metadata=SPARSE)
    """By card and phase, as `prepare` counted them."""
    outputs: tuple[GroupOutputs, ...] = field(default=(), metadata=SPARSE)
    """Facts on the outputs, by language or direction."""
    hard_inputs: tuple[HardInputs, ...] = field(default=(), metadata=SPARSE)
    """Outputs for short and hard inputs, by direction, kind and system."""
    models: tuple[ModelComparison, ...] = field(default=(), metadata=SPARSE)
    """Other models of the recipe on the same items; they decide nothing."""
    energy: Energy | None = field(default=None, metadata=SPARSE)
    """With the share of the base, which several adapters may have used."""

    @property
    def pairs(self) -> list[Pair]:
        """The scores of both systems with the test between them."""
        found: dict[Subject, dict[str, Score]] = {}
        for score in self.scores:
            found.setdefault(subject(score), {})[score.system] = score
        return [
            Pair(by.pop("base"), by.pop("adapter"), test, tuple(by.values()))
            for test in self.comparisons
            if {"base", "adapter"} <= set(by := dict(found.get(subject(test), {})))
        ]


@dataclass(frozen=True, slots=True)
class Effect:
    """Effect of a released adapter, loaded as its users load it; shares of the largest logit."""

    tensors: int
    base_sha256: Mapping[str, str]
    """Files of the base's weights -> sha256."""
    precision: Precision | None = None
    """Of the base in the comparison; None: it did not fit, and the scores show the effect."""
    from_base: float = 0.0
    """Largest difference of a logit from the base's."""
    from_trained: float = 0.0
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class ReleaseResult:
    """Result of the stage `release`: a folder that is a repository of the Hub."""

    repo: str
    """`ORG/NAME`."""
    licence: str
    files: Mapping[str, str]
    """Name -> sha256."""
    gate: tuple[str, ...] = ()
    """Conditions of access to the corpora."""
    gates: tuple[GateResult, ...] = field(default=(), metadata=SPARSE)
    """Findings that decide whether the release may be public."""
    effect: Effect | None = field(default=None, metadata=SPARSE)
    terms: StrictestTerms | None = field(default=None, metadata=SPARSE)


def as_json(result: Any) -> dict[str, Any]:
    """Return a result as the JSON object of its manifest.

    >>> as_json(ReleaseResult("org/toy", "mit", files={}))
    {'repo': 'org/toy', 'licence': 'mit', 'files': {}, 'gate': []}
    """
    return dict(_plain(result))


def read_result(artifact: Artifact, kind: type[_Result]) -> _Result:
    """Return the result of an artefact. Raises StoreError as `parse_result` does."""
    return parse_result(artifact.result, kind, path=artifact.path)


def parse_result(result: Mapping[str, Any], kind: type[_Result], *, path: Path) -> _Result:
    """Return the `result` of the manifest in the artefact folder `path`.

    Raises StoreError with file, key and remedy if a key is missing or its value has another type.
    """
    try:
        content = json.dumps(_plain(result))
        value: _Result = _adapter(kind).validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join(("result", *map(str, first["loc"])))
        raise StoreError(
            problem(
                "unreadable-result",
                "{why}; {remedy}",
                at=Place(path / "manifest.json", key=key),
                why=first["msg"],
                remedy=how_to_remake(path),
            )
        ) from None
    return value


_adapters: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    """Return the validator of a result class, built once per process."""
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def _plain(value: Any) -> Any:
    """Return dataclasses, mappings and tuples as JSON has them."""
    if is_dataclass(value):
        return {
            f.name: _plain(getattr(value, f.name))
            for f in fields(value)
            if not (f.metadata.get("sparse") and getattr(value, f.name) == f.default)
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
