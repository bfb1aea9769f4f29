"""A recipe: the settings of one run, from data cards to a released adapter.

Every section belongs to one stage. `run`, `publish` and `name` are in no cache key: they change how
and where a stage runs and not its result.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from finetune.errors import Unfit
from finetune.messages import Place, problem
from finetune.spec.language import Language
from finetune.spec.prompt_set import health_file
from finetune.spec.section import PathText, Section
from finetune.spec.sections.base_model import Base, LicenceId, Name, RepoId
from finetune.spec.sections.compared_model import Compared, refuse_shared_names
from finetune.spec.sections.electricity import Electricity
from finetune.spec.sections.gates import Gates
from finetune.spec.sections.identify import Identify
from finetune.spec.sections.known_language import Forgetting
from finetune.spec.sections.mixture import DataMixture
from finetune.spec.sections.overlap import Duplicates, EvaluationSet
from finetune.spec.sections.publish import Publish
from finetune.spec.sections.text_checks import PersonalData, TextChecks
from finetune.spec.sections.training import Lora, Train
from finetune.spec.sections.vocabulary import Vocabulary
from finetune.spec.tables.task import asked, refuse_effects


class Corpus(Section):
    """A data card, and its use as training data."""

    card: Name
    """Name of a data card: `data_cards/NAME.md`."""
    use: Literal["auto", "text", "translation", "chat"] = "auto"
    """`auto` follows the card's kind: text -> text, parallel -> translation, chat -> chat."""
    source: Language | None = None
    """Source language (parallel cards)."""
    target: Language | None = None
    """Target language (parallel cards); with `use: text` the language to read."""
    prompt: str = "Translate from {source_name} into {target_name}:\n{text}"
    """Prompt template of a translation pair: {text}, {source_name}, {target_name}."""
    max_documents: Annotated[int, Field(gt=0)] | None = None
    """Maximum number of documents; a fixed subset, chosen by hash."""
    replay: bool = False
    """Replay data, mixed in against catastrophic forgetting (English, a related language);
    `mixture.replay` sets its fraction."""
    evaluate_only: bool = False
    """Every text is a test text and none is trained on: a test on another domain."""


class Prepare(Section):
    """Preparation: data cards to documents to packed sequences."""

    sequence_tokens: Annotated[int, Field(ge=16, le=1_048_576)] = 512
    """Length of a packed sequence in tokens."""
    over_length: Literal["split", "drop", "error"] = "split"
    """Treatment of documents longer than a sequence. Only plain text can be split; longer
    conversations and pairs are rejected and counted."""
    layout: Literal["chat", "plain"] = "chat"
    """Chat format. `chat` applies the base's chat template to instructions and pairs; `plain` joins
    prompt and answer with a newline. Plain text is not wrapped."""
    chat_template: Literal["model", "chatml"] = "model"
    """Chat template of the base, or ChatML for a base without one."""
    system_prompt: Annotated[str, StringConstraints(max_length=4000)] = "base"
    """System prompt of conversations and pairs without one. `base`: what the base's chat template
    adds, often English; `none`: none; any other text: that text. Training, evaluation and chat use
    the same. Where the template has no system role it stands before the first question."""
    mask_history: bool = False
    """Train on the last answer of a conversation only; for templates that change earlier turns."""
    validation_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Fraction of source texts in the validation split (selection of the best checkpoint)."""
    test_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """Fraction of source texts in the test split (scores on the model card)."""
    hold_out_documents: Literal["auto", "always", "none"] = "auto"
    """Whole documents in the test split beside single texts, so that a score on other documents
    exists. `auto`: about `test_share` of the documents of a card that has four or more; `always`:
    also of a card with two or three; `none`: none. None of replay data, and none where the card
    names its test."""
    min_characters: Annotated[int, Field(ge=1)] = 1
    """Minimum length of a document in characters; shorter ones are rejected."""
    duplicates: Duplicates = Duplicates.with_defaults()
    """Near-duplicate removal."""
    evaluation_sets: list[EvaluationSet] = Field(default_factory=list)
    """Evaluation sets, as text or fingerprints; training texts that overlap are removed."""
    text: TextChecks = TextChecks.with_defaults()
    """Quality checks and repairs of texts."""
    personal_data: PersonalData = PersonalData.with_defaults()
    """Treatment of personal data in texts."""
    identify: Identify = Identify.with_defaults()
    """Language identification of each text."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the order of documents in sequences and of the choice of `max_documents`."""

    @model_validator(mode="after")
    def _system_prompt_fits(self) -> Prepare:
        if self.layout == "plain" and self.system_prompt not in ("base", "none"):
            raise Unfit(
                problem(
                    "system-prompt-without-template",
                    "a text needs `layout: chat`; with `plain` write it into the prompt of the "
                    "corpus",
                    at=Place(key="system_prompt"),
                )
            )
        return self


class Phase(Section):
    """One of several training phases; each starts from the adapter of the one before."""

    name: Name
    """Name of the phase."""
    corpora: Annotated[list[Corpus], Field(min_length=1)]
    """Data cards of this phase."""
    mixture: DataMixture | None = None
    """Data mixture. Without it sampling is proportional to size, and replay data has its default
    fraction."""
    train: Train
    """Training settings of this phase."""

    @property
    def active_mixture(self) -> DataMixture | None:
        """The data mixture; None if every sequence is drawn once per epoch."""
        replayed = any(corpus.replay for corpus in self.corpora)
        mixture = self.mixture or DataMixture(method="proportional")
        as_it_is = all(part.method == "proportional" for _, part in mixture.parts)
        return None if as_it_is and not replayed else mixture


class Evaluate(Section):
    """Evaluation of base and adapter on the test split."""

    max_documents: Annotated[int, Field(gt=0)] = 1000
    """Maximum number of test documents per language."""
    generate_items: Annotated[int, Field(ge=0)] = 200
    """Maximum number of test pairs to translate per direction; 0: no generation."""
    max_new_tokens: Annotated[int, Field(gt=0)] = 96
    """Maximum number of new tokens per generation; fewer if 99 % of the references are shorter."""
    examples: Annotated[int, Field(ge=0, le=32)] = 5
    """Number of training examples in the prompt of the base with examples, a yardstick; 0: none."""
    hard_inputs: Annotated[int, Field(ge=0)] = 8
    """Maximum number of short and hard inputs of each kind (one word, upper case, typing errors,
    numbers, negation) per direction, one for every 15 `generate_items`; 0: none."""
    control_items: Annotated[int, Field(ge=0)] = 60
    """Maximum number of test pairs per direction that are scored with other sources, and of texts
    per language for forgetting; 0: none."""
    kl_prompts: Annotated[int, Field(ge=0, le=50)] = 50
    """Number of everyday prompts on which the adapter is compared with the base; 0: none."""
    samples: Annotated[int, Field(ge=0)] = 5
    """Number of generations of base and adapter in the report."""
    resamples: Annotated[int, Field(ge=100)] = 1000
    """Number of bootstrap resamples for confidence intervals and paired tests."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the bootstrap."""
    metrics: list[str] = Field(default_factory=list)
    """Additional metrics, by name (built-in or of an installed package)."""
    tasks: list[str] = Field(default_factory=list)
    """Additional tasks: by name (installed packages, lm-evaluation-harness), or YAML files."""
    prompts: list[PathText] | None = None
    """Sets of prompts that base and adapter answer, for speakers to judge: tables of language and
    prompt (`finetune judge build --prompts`)."""
    models: list[Compared] = Field(default_factory=list)
    """Other models on the same items, shown beside the adapter; they decide nothing."""
    forgetting: Forgetting | None = None
    """Texts on which forgetting is measured. Default: sources of translations, or replay data."""
    minimum_effect: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default_factory=dict
    )
    """Difference below which nothing is called better or worse, by metric: percent of the other
    system's score for `bits_per_byte`, else in units of the score. Default: that of each metric,
    `{bits_per_byte: 1, chrf++: 1, exact_match: 0.01}`."""

    @model_validator(mode="after")
    def _can_be_measured(self) -> Evaluate:
        if self.metrics or self.tasks:
            asked(self.tasks, self.metrics)
        refuse_effects(self.minimum_effect, tasks=self.tasks, metrics=self.metrics)
        refuse_shared_names(self.models)
        return self


class Release(Section):
    """Name and licence of the release."""

    repo: RepoId
    """Repository on the hub: `org/name`."""
    licence: Literal["auto"] | LicenceId = "auto"
    """Licence of the adapter. `auto`: derived from the licences of base and data. A more permissive
    licence is an error."""
    summary: str = ""
    """First sentence of the model card."""
    judgements: list[PathText] = Field(default_factory=list)
    """Files of `finetune judge collect`, one for each campaign: what speakers found in the outputs,
    for the model card."""


ReleaseOrNone = Annotated[
    Annotated[Release, Tag("section")] | Annotated[Literal["none"], Tag("word")],
    Discriminator(
        lambda said: ("word" if isinstance(said, str) else "section") if said else None,
        custom_error_type="nothing_said",
        custom_error_message="Nothing is written here; name a repository, `release: {repo: "
        "ORGANISATION/NAME}`, or write `release: none` to train and evaluate only",
    ),
]
"""A section or the word `none`; an empty section is an error."""


class Run(Section):
    """Execution on this machine. Does not affect the cache key."""

    micro_batch_size: Literal["auto"] | Annotated[int, Field(gt=0)] = "auto"
    """Sequences per forward pass; `auto` measures the maximum that fits into `memory_gib`. The loss
    does not depend on it."""
    memory_gib: Annotated[float, Field(gt=0)] | None = None
    """Memory budget of training in GiB; of a GPU that of tensors. Default: 60 % of the memory of a
    machine; of a GPU what is free, without 1 GiB and 5 %."""
    gradient_checkpointing: bool = False
    """Gradient checkpointing: less activation memory, about a third slower."""
    checkpoint_every_steps: Annotated[int, Field(gt=0)] = 25
    """Steps between checkpoints."""
    keep_checkpoints: Annotated[int, Field(ge=1)] = 2
    """Maximum number of checkpoints kept during training."""
    keep_checkpoints_gib: Annotated[float, Field(gt=0)] | None = None
    """Maximum disk space of checkpoints in GiB; the newest is always kept. Default: no limit."""
    accept_versions: bool = False
    """Resume from a checkpoint that other versions of finetune, Python or its packages wrote."""
    device: Literal["auto", "gpu", "cpu"] = "auto"
    """Device of training and evaluation. `auto`: a GPU if one is visible; `gpu`: a run without one
    ends before anything is loaded; `cpu`: visible GPUs are not used."""
    deterministic: bool = False
    """On a GPU, only algorithms that give the same bits each time: a resumed run then equals one
    that was not stopped. Slower, and more memory. On a CPU this is always so."""
    threads: Annotated[int, Field(gt=0)] | None = None
    """CPU threads. Default: OMP_NUM_THREADS, or the physical cores available to this process."""
    timeout_minutes: Annotated[float, Field(gt=0)] | None = None
    """Minutes that ranks wait for each other. Default: 10, or the time in which a rank reads the
    base at 50 MB/s, if that is longer (70B in 16 bits: 47)."""
    tensorboard: bool = True
    """Write TensorBoard event files beside metrics.jsonl."""
    trackers: list[Literal["wandb", "mlflow", "trackio"]] = Field(default_factory=list)
    """Other trackers, with the metrics of TensorBoard: W&B (offline unless WANDB_MODE says
    otherwise), MLflow, Trackio; each in `trackers/NAME` of the store."""


class Recipe(Section):
    """A run: data cards, training, evaluation, release."""

    name: Name
    """Name of the run. Does not affect the cache key."""
    intended_use: Literal["general", "health"] = "general"
    """Use that the adapter is made for. `health`: 30 prompts in English and French are answered
    beside `evaluate.prompts`, summary and model card begin with a warning, and a release may be
    public once two speakers judged the answers in each language."""
    base: Base
    corpora: Annotated[list[Corpus], Field(min_length=1)] | None = None
    """Data cards. Give `corpora` and `train`, or `phases`."""
    mixture: DataMixture | None = None
    """Data mixture; with `phases` each phase has its own. Without it sampling is proportional to
    size, and replay data has its default fraction."""
    prepare: Prepare = Prepare.with_defaults()
    vocabulary: Vocabulary | None = None
    """Vocabulary extension of the base's tokenizer. Default: none."""
    lora: Lora = Lora.with_defaults()
    train: Train | None = None
    phases: Annotated[list[Phase], Field(min_length=1)] | None = None
    """Training phases in order, for example plain text and then instructions."""
    evaluate: Evaluate = Evaluate.with_defaults()
    release: ReleaseOrNone
    """Name and licence of the release. `none`: train and evaluate only."""
    electricity: Electricity | None = None
    """Carbon intensity of the grid, for the grams of CO2 on the model card; counts before that of
    the site. Default: the site's, or no grams."""
    gates: Gates = Gates.with_defaults()
    publish: Publish = Publish.with_defaults()
    run: Run = Run.with_defaults()

    @property
    def training_phases(self) -> tuple[Phase, ...]:
        """The phases; a recipe without any has one, called `train`."""
        if self.phases is not None:
            return tuple(self.phases)
        assert self.corpora is not None  # noqa: S101, the validator promises both
        assert self.train is not None  # noqa: S101
        return (Phase(name="train", corpora=self.corpora, mixture=self.mixture, train=self.train),)

    @property
    def is_released(self) -> bool:
        """Return whether anything is released in the end."""
        return isinstance(self.release, Release)

    @property
    def released(self) -> Release:
        """The release of a recipe that has one (`is_released`)."""
        assert isinstance(self.release, Release)  # noqa: S101, asked before
        return self.release

    @property
    def prompt_files(self) -> tuple[str, ...]:
        """The sets of prompts that are answered: ours on health, and those of the recipe."""
        ours = (str(health_file()),) if self.intended_use == "health" else ()
        return (*ours, *(self.evaluate.prompts or ()))

    @property
    def judgements(self) -> tuple[str, ...]:
        """The files of judgements that the release shows."""
        return tuple(self.released.judgements) if self.is_released else ()

    @property
    def models(self) -> tuple[Base, ...]:
        """The base, and the models that are compared with it, adapters of the base aside."""
        return (self.base, *(model for model in self.evaluate.models if isinstance(model, Base)))

    @property
    def card_names(self) -> tuple[str, ...]:
        """Every card the recipe names, once, in order."""
        return tuple(dict.fromkeys(c.card for p in self.training_phases for c in p.corpora))

    @model_validator(mode="after")
    def _one_shape(self) -> Recipe:
        flat = self.corpora is not None and self.train is not None
        if flat == (self.phases is not None) or (
            self.phases is not None and (self.corpora or self.train)
        ):
            raise Unfit(problem("no-one-shape", "give either corpora and train, or phases alone"))
        if self.phases is not None and self.mixture is not None:
            raise Unfit(
                problem(
                    "mixture-beside-phases",
                    "with phases, write it into the phase whose texts it mixes",
                    at=Place(key="mixture"),
                )
            )
        names = [phase.name for phase in self.training_phases]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise Unfit(
                problem(
                    "phase-twice",
                    "two are called {name!r}; give each a name of its own",
                    at=Place(key="phases"),
                    name=twice[0],
                )
            )
        for phase in self.training_phases:
            if phase.train.batch_tokens % self.prepare.sequence_tokens:
                raise Unfit(
                    problem(
                        "batch-no-multiple",
                        "train.batch_tokens ({batch}) must be a multiple of "
                        "prepare.sequence_tokens ({sequence})",
                        batch=phase.train.batch_tokens,
                        sequence=self.prepare.sequence_tokens,
                    )
                )
        return self
