"""Language-identification models behind one interface: name, labels, scores.

A model returns the log-likelihoods of some of its labels (up to a constant, natural logarithm);
finetune.identify.identifier combines them. Imports nothing
heavy until a model is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from finetune.errors import DataError
from finetune.identify.fasttext_file import read_fasttext_file
from finetune.messages import Place, problem, sentence
from finetune.sources.checksums import checksum
from finetune.spec.sections.identify import FastTextModel, Identify
from finetune.spec.tables.extras import missing

_MODELS = Place(key="prepare.identify.models")
Scores = Mapping[str, float]
"""Label -> log-likelihood, up to a constant."""
Scorer = Callable[[str], Scores]
LEAST = 1e-30
"""Probability below which a model's answer is taken as this."""
FRANC_SCRIPTS: Mapping[str, str] = {
    "Latin": "Latn",
    "Cyrillic": "Cyrl",
    "Arabic": "Arab",
    "Devanagari": "Deva",
    "Myanmar": "Mymr",
    "Ethiopic": "Ethi",
    "Tibetan": "Tibt",
    "Hebrew": "Hebr",
    "Canadian_Aboriginal": "Cans",
}
"""Groups of franc's trigram models, without languages that it identifies by script alone (Bengali,
Tamil): it cannot separate Assamese from Bengali, and the script is checked anyway."""
PY3LANGID_SCALE = 2.0
"""Its probabilities are too flat for short lines (temperature = root of the bytes)."""
FRANC_SCALE = 2.0
HELIPORT_SCALE = 0.7
"""Nats for a unit of a model's score on a text of one character; with more characters it counts
times their square root. All three scales were fitted on lines of 10 to 40 letters of Kolibri's
messages (smallest mean log-loss)."""

PY3LANGID_THRESHOLD = 0.9
FRANC_THRESHOLD = 0.98
HELIPORT_THRESHOLD = 0.98
"""Thresholds above which fewer than 1 in 200 true lines of 20 letters or more are misclassified
(Kolibri's messages and the Universal Declaration, docs/data/language-id.md)."""
FASTTEXT_THRESHOLD = 0.9
"""For files of the user nothing was measured; GlotLID's makers advise to set it by language."""


@dataclass(frozen=True, slots=True)
class Model:
    """A language-identification model, ready to be asked."""

    name: str
    version: str
    """Version of the package, or the first digits of the file's checksum."""
    licence: str
    """Licence of code and model, as their makers state it."""
    labels: tuple[str, ...]
    """Every label it has, as it writes it."""
    threshold: float
    """Default confidence threshold for calling a text another language than it declares."""
    bind: Callable[[Sequence[str]], Scorer]
    """Returns how to score a line (no line ends) for some of the labels."""
    last_resort: bool = False
    """True if a classifier trained on the cards is more reliable."""


def load_models(settings: Identify) -> tuple[Model, ...]:
    """Load the models that a recipe names, in its order.

    Raises DataError for a package that is not installed, or a file that is missing, has another
    checksum or is no such model: all problems at once.
    """
    models: list[Model] = []
    problems: list[Any] = []
    for wanted in settings.models:
        try:
            if isinstance(wanted, FastTextModel):
                path = Path(wanted.fasttext).expanduser()
                models.append(load_fasttext(path, sha256=wanted.sha256))
            else:
                models.append(_PACKAGED[wanted]())
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(*problems)
    return tuple(models)


@lru_cache(maxsize=1)
def load_py3langid() -> Model:
    """Load py3langid: 140 languages, naive Bayes on byte n-grams (Lui and Baldwin 2012)."""
    release = _installed("py3langid")
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    whole = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def bind(labels: Sequence[str]) -> Scorer:
        model = LanguageIdentifier(
            whole.nb_ptc,
            whole.nb_pc,
            whole.nb_classes,
            whole.tk_nextmove,
            whole.tk_output,
            norm_probs=True,
            tk_row=whole.tk_row,
        )
        model.set_languages(labels)
        return lambda line: {
            label: PY3LANGID_SCALE * math.log(max(probability, LEAST))
            for label, probability in model.rank(line)
        }

    return Model(
        "py3langid", release, "BSD-3-Clause", tuple(whole.labels), PY3LANGID_THRESHOLD, bind
    )


@lru_cache(maxsize=1)
def load_franc() -> Model:
    """Load pyfranc: trigram ranks (Cavnar and Trenkle 1994) of 380 languages."""
    release = _installed("pyfranc")
    from pyfranc import franc

    from finetune.identify.franc import make_scorer

    labels = {
        f"{code}_{FRANC_SCRIPTS[group]}": (group, code)
        for group, languages in franc.data.items()
        for code in languages
    }

    def bind(chosen: Sequence[str]) -> Scorer:
        wanted: dict[str, dict[str, str]] = {}
        for label in chosen:
            group, code = labels[label]
            wanted.setdefault(group, {})[code] = label
        return make_scorer(wanted, scale=FRANC_SCALE)

    return Model("franc", release, "MIT", tuple(labels), FRANC_THRESHOLD, bind, last_resort=True)


@lru_cache(maxsize=1)
def load_heliport() -> Model:
    """Load heliport: HeLI-OTS (Jauhiainen et al. 2022), words and n-grams of 200 languages."""
    release = _installed("heliport")
    import heliport

    model = heliport.Identifier()
    labels = tuple(sorted(model.get_confidence_all()))

    def bind(chosen: Sequence[str]) -> Scorer:
        wanted = frozenset(chosen)

        def score(line: str) -> Scores:
            found = model.identify_topk_with_score(line, len(labels) + 10)
            weight = HELIPORT_SCALE * math.sqrt(len(line))
            return {label: -weight * penalty for label, penalty in found if label in wanted}

        return score

    return Model("heliport", release, "GPL-3.0-or-later", labels, HELIPORT_THRESHOLD, bind)


@lru_cache(maxsize=2)  # the largest have over a gigabyte, and are asked for twice
def load_fasttext(path: Path, *, sha256: str) -> Model:
    """Load a supervised model in fastText's format (Joulin et al. 2017) from a file.

    Raises DataError if the file is missing, has another checksum or is no such model.
    """
    release = _installed("fasttext-predict")
    if not path.is_file():
        raise DataError(problem("no-file", "there is no file {path!r}", at=_MODELS, path=str(path)))
    actual = checksum(path)
    if actual != sha256:
        raise DataError(
            problem(
                "wrong-checksum",
                "{path}: sha256 is {actual}, the recipe states {stated}; get the file that was "
                "meant, or correct the recipe",
                at=_MODELS,
                path=path,
                actual=actual,
                stated=sha256,
            )
        )
    labels = read_fasttext_file(path).labels
    import fasttext

    try:
        model = fasttext.load_model(str(path))
    except (ValueError, MemoryError, RuntimeError) as error:
        raise _unusable(path, error) from None

    def bind(chosen: Sequence[str]) -> Scorer:
        wanted = frozenset(chosen)

        def score(line: str) -> Scores:
            # below any threshold, or a hierarchical softmax omits improbable labels
            readable = line.encode("utf-8", "replace").decode()
            try:
                names, shares = model.predict(readable, k=len(labels), threshold=-1.0)
            except RuntimeError as error:  # a number of the file is none
                raise _unusable(path, error) from None
            return {
                name: math.log(max(share, LEAST))
                for name, share in zip(names, shares, strict=True)
                if name in wanted
            }

        return score

    named = f"{actual[:12]} (fasttext-predict {release})"
    return Model(path.name, named, "as its makers state", labels, FASTTEXT_THRESHOLD, bind)


def _unusable(path: Path, error: Exception) -> DataError:
    return DataError(
        problem("damaged-fasttext", "fastText cannot use it: {why}", at=Place(path), why=str(error))
    )


def _installed(package: str) -> str:
    """Return the version of a package. Raises DataError with the command that installs it."""
    try:
        return version(package)
    except PackageNotFoundError:
        lacking = missing(
            package,
            needed_by="prepare.identify.models",
            instead=sentence(", or remove the model from the list"),
        )
        raise DataError(*lacking.problems) from None


_PACKAGED: Mapping[str, Callable[[], Any]] = {
    "py3langid": load_py3langid,
    "franc": load_franc,
    "heliport": load_heliport,
}
