"""What an engineer writes: one recipe is one whole run.

Every section has one owner stage. `run` and `publish` (and `name`) say how and where, never what:
they are in no artefact key, so changing them re-runs nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from finetune.spec.identify import Identify
from finetune.spec.language import Language
from finetune.spec.mix import Mix
from finetune.spec.overlap import Duplicates, EvaluationSet
from finetune.spec.section import Section
from finetune.spec.tables.task import asked
from finetune.spec.text_checks import PersonalData, TextChecks
from finetune.spec.vocabulary import Vocabulary

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$")]
RepoId = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$")
]
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Precision = Literal["fp32", "bf16", "fp16"]
Quantization = Literal["none", "8bit", "4bit"]
Sharding = Literal["none", "ddp", "zero1", "zero2", "zero3", "fsdp"]
Offload = Literal["none", "optimizer", "all"]
LicenceId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+-]{0,63}$")]


class Base(Section):
    """The open model that the adapter is trained on."""

    model: str
    """Where the weights are: a Hub id (`org/name`), a directory, a `.gguf` file, or
    `package:DIST/PATH` for a file inside an installed package (PATH from site-packages)."""
    hub_id: RepoId | None = None
    """The Hub id that the released adapter names as its base. Needed unless `model` is one."""
    revision: Revision | None = None
    """The commit (40 hex digits) of the base on the Hub. Required when `model` is a Hub id."""
    licence: LicenceId
    """Licence of the base model, as the Hub spells it (`apache-2.0`, `gemma`, `llama3.2`)."""
    quantization: Quantization = "none"
    """Load the frozen base in 8 or 4 bits with bitsandbytes."""

    @property
    def is_hub(self) -> bool:
        """Whether `model` has to be fetched from the Hub."""
        return self.kind == "hub"

    @property
    def kind(self) -> Literal["hub", "package", "gguf", "directory"]:
        """Which of the four forms `model` takes; a path starts with `.`, `/` or `~`."""
        if self.model.startswith("package:"):
            return "package"
        if self.model.endswith(".gguf"):
            return "gguf"
        if self.model.startswith((".", "/", "~")) or self.model.count("/") != 1:
            return "directory"
        return "hub"

    @property
    def released_id(self) -> str:
        """The Hub id that adapter and card name."""
        return self.hub_id or self.model

    @model_validator(mode="after")
    def _names_a_hub_base(self) -> Base:
        if not self.is_hub and self.hub_id is None:
            raise ValueError(
                "hub_id: needed, because the released adapter must name its base on the Hub, "
                f"and model {self.model!r} is a local one"
            )
        if self.is_hub and self.revision is None:
            raise ValueError(
                f"revision: needed for the Hub model {self.model!r} (40 hex digits of a commit), "
                "so that the same recipe always means the same weights"
            )
        return self


class Corpus(Section):
    """One data card, and how its texts are turned into training documents."""

    card: Name
    """Name of a data card: `data_cards/NAME.md`."""
    use: Literal["auto", "text", "translation", "chat"] = "auto"
    """`auto` follows the card's kind: text -> text, parallel -> translation, chat -> chat."""
    source: Language | None = None
    """Language to translate from (parallel cards)."""
    target: Language | None = None
    """Language to translate into; for `use: text` on a parallel card, the side to read."""
    prompt: str = "Translate from {source_name} into {target_name}:\n{text}"
    """Instruction of a translation pair; {text}, {source_name} and {target_name} are filled in."""
    max_documents: Annotated[int, Field(gt=0)] | None = None
    """Use at most this many documents, chosen by hash, the same ones every time."""
    replay: bool = False
    """Its texts are there so that the base does not forget a language (English, a related one);
    `mix.replay` says how much of them is trained on."""


class Prepare(Section):
    """Cards -> documents -> packed tokens."""

    sequence_tokens: Annotated[int, Field(ge=16, le=1_048_576)] = 512
    """Length of a packed row in tokens."""
    over_length: Literal["split", "drop", "error"] = "split"
    """What happens to a document longer than a row. Only plain text can be split; a longer
    conversation or pair is dropped and counted."""
    layout: Literal["chat", "plain"] = "chat"
    """`chat` lays instructions and pairs out with the base's chat template; `plain` joins prompt
    and answer with a newline. Plain text is never wrapped."""
    chat_template: Literal["model", "chatml"] = "model"
    """The base's own chat template, or ChatML for a base that has none."""
    validation_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Share of source texts held out for choosing the best checkpoint."""
    test_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """Share of source texts held out for the claims on the model card."""
    min_characters: Annotated[int, Field(ge=1)] = 1
    """Shorter documents are rejected and counted."""
    duplicates: Duplicates = Duplicates()
    """Near copies of texts, of which one is kept."""
    evaluation_sets: list[EvaluationSet] = Field(default_factory=list)
    """Sets whose texts must not be trained on, as text or as fingerprints."""
    text: TextChecks = TextChecks()
    """Checks and repairs of single texts."""
    personal_data: PersonalData = PersonalData()
    """What happens to personal data in texts."""
    identify: Identify = Identify()
    """Whether each text is in the language that its card says."""
    seed: int = 0
    """Decides the order of documents in rows, and which ones `max_documents` keeps."""


class Lora(Section):
    """The adapter (LoRA: Hu et al. 2021)."""

    rank: Annotated[int, Field(ge=1, le=1024)] = 16
    """Rank of the update matrices."""
    alpha: Annotated[float, Field(gt=0)] = 32.0
    """Scale: the update is multiplied by alpha/rank (rsLoRA: alpha/sqrt(rank))."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout on the adapter's input."""
    targets: Literal["all-linear"] | list[str] = "all-linear"
    """Modules that get an update: all linear layers but the head, or a list of name endings."""
    rslora: bool = False
    """Rank-stabilised scale (Kalajdzievski 2023)."""
    dora: bool = False
    """Weight-decomposed update (DoRA: Liu et al. 2024); slower."""
    init: Literal["default", "gaussian", "orthogonal", "pissa"] = "default"
    """How A and B start (PiSSA: Meng et al. 2024)."""
    plus_ratio: Annotated[float, Field(ge=1)] = 1.0
    """LoRA+ (Hayou et al. 2024): learning rate of B is this many times that of A."""


class Train(Section):
    """Tokens -> adapter. Only what changes the mathematics; the rest is in `run`."""

    max_steps: Annotated[int, Field(gt=0)] | None = None
    """Optimizer steps. Give this or `epochs`."""
    epochs: Annotated[float, Field(gt=0)] | None = None
    """Passes over the training rows. Give this or `max_steps`."""
    batch_tokens: Annotated[int, Field(gt=0)] = 8192
    """Tokens of one optimizer step over all devices (a multiple of `prepare.sequence_tokens`)."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Peak learning rate."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after warm-up; to 0 at the last step."""
    warmup_steps: Annotated[int, Field(ge=0)] = 10
    """Steps of linear rise from 0."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's decoupled weight decay."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are clipped to this norm."""
    precision: Literal["auto", Precision] = "auto"
    """Type of the arithmetic. `auto`: what the hardware does well."""
    validate_every_steps: Annotated[int, Field(gt=0)] = 50
    """Steps between validations."""
    validation_documents: Annotated[int, Field(gt=0)] = 200
    """Validate on at most this many held-out documents, as many of each language."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Stop after this many validations without a gain; 0 never stops early."""
    seed: int = 0
    """Decides adapter initialisation, row order and dropout."""
    start_from: str | None = None
    """A folder with an adapter to start from instead of a fresh one."""
    sharding: Literal["auto", Sharding] = "auto"
    """How several processes share the work; in no key. `ddp` copies the model to each; DeepSpeed's
    `zero1` shares the optimizer's state, `zero2` the gradients too, `zero3` also the weights, as
    does `fsdp`. `auto`: `none` for one process, `ddp` where the model fits, else `zero3`."""
    offload: Offload = "none"
    """What waits in the CPU's memory while the GPU does not need it: the optimizer's state, or the
    weights too (`zero3` and `fsdp`). In no key."""

    def rows_per_step(self, sequence_tokens: int) -> int:
        """Return the rows of an optimizer step over all devices.

        >>> Train(max_steps=1, batch_tokens=8192).rows_per_step(512)
        16
        """
        return self.batch_tokens // sequence_tokens

    @model_validator(mode="after")
    def _one_length(self) -> Train:
        if (self.max_steps is None) == (self.epochs is None):
            raise ValueError("give exactly one of max_steps and epochs")
        return self

    @model_validator(mode="after")
    def _offload_fits(self) -> Train:
        allowed = {
            "none": (),
            "ddp": (),
            "zero1": ("optimizer",),
            "zero2": ("optimizer",),
        }.get(self.sharding, ("optimizer", "all"))
        if self.offload != "none" and self.offload not in allowed:
            fitting = "zero3 or fsdp" if self.offload == "all" else "zero1, zero2, zero3 or fsdp"
            raise ValueError(
                f"offload: {self.offload} cannot be had with sharding: {self.sharding}; "
                f"it needs {fitting}"
            )
        return self


class Phase(Section):
    """One of several trainings that follow each other, each from the adapter of the last."""

    name: Name
    """Label of the phase."""
    corpora: Annotated[list[Corpus], Field(min_length=1)]
    """Data cards of this phase."""
    mix: Mix | None = None
    """Shares of languages or cards. Without it texts are taken as they are, and corpora marked
    `replay` have their share."""
    train: Train
    """Training settings of this phase."""

    @property
    def mixing(self) -> Mix | None:
        """The mix in force; None if every row is taken once before any comes again."""
        replayed = any(corpus.replay for corpus in self.corpora)
        mix = self.mix or Mix(method="proportional")
        as_it_is = all(part.method == "proportional" for _, part in mix.parts)
        return None if as_it_is and not replayed else mix


class Evaluate(Section):
    """Base and adapter on the same held-out test documents."""

    max_documents: Annotated[int, Field(gt=0)] = 1000
    """Score at most this many test documents a language."""
    generate_items: Annotated[int, Field(ge=0)] = 100
    """Translate at most this many test pairs per direction; 0 generates nothing."""
    generate_max_tokens: Annotated[int, Field(gt=0)] = 96
    """Stop a generation after this many tokens."""
    samples: Annotated[int, Field(ge=0)] = 5
    """Generations shown side by side in the report."""
    resamples: Annotated[int, Field(ge=100)] = 1000
    """Bootstrap resamples of confidence intervals and paired tests."""
    seed: int = 0
    """Decides the bootstrap."""
    metrics: list[str] = Field(default_factory=list)
    """Metrics beside those of the tasks; an unknown name is answered with all that there are."""
    tasks: list[str] = Field(default_factory=list)
    """Tasks beside held-out text and translation, which installed packages add."""

    @model_validator(mode="after")
    def _can_be_measured(self) -> Evaluate:
        if self.metrics or self.tasks:
            asked(self.tasks, self.metrics)
        return self


class Release(Section):
    """What is released, under which name and licence."""

    repo: RepoId
    """Repository on the hub: `org/name`."""
    licence: Literal["auto"] | LicenceId = "auto"
    """`auto`: what base and data licences allow. A freer licence than that is refused."""
    summary: str = ""
    """One sentence for the top of the model card."""


ReleaseOrNone = Annotated[
    Annotated[Release, Tag("section")] | Annotated[Literal["none"], Tag("word")],
    Discriminator(lambda value: "word" if isinstance(value, str) else "section"),
]
"""That nothing is released is said by a word; an empty section is a mistake."""


class Publish(Section):
    """Where a built release goes. In no key."""

    hub: Literal["directory", "huggingface"] = "directory"
    """`directory` copies into a local folder hub; `huggingface` speaks the Hub's protocol."""
    directory: str | None = None
    """Root of the directory hub. Default: `hub/` in the store."""
    private: bool = True
    """Whether a repository that publishing creates is private."""


class Run(Section):
    """How the work is done on this machine. In no key."""

    micro_batch_rows: Literal["auto"] | Annotated[int, Field(gt=0)] = "auto"
    """Rows in one forward pass; `auto` measures what fits into `memory_gib`."""
    memory_gib: Annotated[float, Field(gt=0)] | None = None
    """Memory that training may use, in GiB. Default: 60 % of the device's."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, a third slower."""
    checkpoint_every_steps: Annotated[int, Field(gt=0)] = 25
    """Steps between checkpoints; a kill loses at most these."""
    keep_checkpoints: Annotated[int, Field(ge=1)] = 2
    """Checkpoints kept while training."""
    keep_checkpoints_gib: Annotated[float, Field(gt=0)] | None = None
    """Space that they may take in GiB; the newest is always kept. Default: no limit."""
    threads: Annotated[int, Field(gt=0)] | None = None
    """CPU threads. Default: the physical cores that this process may use."""
    tensorboard: bool = True
    """Write TensorBoard event files beside metrics.jsonl."""


class Recipe(Section):
    """One whole run, from data cards to a released adapter."""

    name: Name
    """A label; in no key."""
    base: Base
    corpora: Annotated[list[Corpus], Field(min_length=1)] | None = None
    """Data cards. Give `corpora` and `train`, or `phases`."""
    mix: Mix | None = None
    """Shares of languages or cards; with `phases` each has its own. Without it texts are taken as
    they are, and corpora marked `replay` have their share."""
    prepare: Prepare = Prepare()
    vocabulary: Vocabulary | None = None
    """New tokens for the base's tokenizer; none unless this is given."""
    lora: Lora = Lora()
    train: Train | None = None
    phases: Annotated[list[Phase], Field(min_length=1)] | None = None
    """Trainings in order, e.g. plain text first, then instructions."""
    evaluate: Evaluate = Evaluate()
    release: ReleaseOrNone
    """What is released. `none`: train and evaluate, and release nothing."""
    publish: Publish = Publish()
    run: Run = Run()

    @property
    def stages_of_training(self) -> tuple[Phase, ...]:
        """The phases; a recipe without any has one, called `train`."""
        if self.phases is not None:
            return tuple(self.phases)
        assert self.corpora is not None  # noqa: S101, the validator promises both
        assert self.train is not None  # noqa: S101
        return (Phase(name="train", corpora=self.corpora, mix=self.mix, train=self.train),)

    @property
    def is_released(self) -> bool:
        """Whether anything is released in the end."""
        return isinstance(self.release, Release)

    @property
    def released(self) -> Release:
        """The release of a recipe that has one (`is_released`)."""
        assert isinstance(self.release, Release)  # noqa: S101, asked before
        return self.release

    @property
    def card_names(self) -> tuple[str, ...]:
        """Every card the recipe names, once, in order."""
        return tuple(dict.fromkeys(c.card for p in self.stages_of_training for c in p.corpora))

    @model_validator(mode="after")
    def _one_shape(self) -> Recipe:
        flat = self.corpora is not None and self.train is not None
        if flat == (self.phases is not None) or (
            self.phases is not None and (self.corpora or self.train)
        ):
            raise ValueError("give either corpora and train, or phases")
        if self.phases is not None and self.mix is not None:
            raise ValueError("mix: with phases, write it into the phase whose texts it mixes")
        names = [phase.name for phase in self.stages_of_training]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"phases: two are called {twice[0]!r}; give each a name of its own")
        for phase in self.stages_of_training:
            if phase.train.batch_tokens % self.prepare.sequence_tokens:
                raise ValueError(
                    f"train.batch_tokens ({phase.train.batch_tokens}) must be a multiple of "
                    f"prepare.sequence_tokens ({self.prepare.sequence_tokens})"
                )
        return self
