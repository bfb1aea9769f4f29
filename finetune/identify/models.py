"""The models behind one interface: what each is called, which labels it has, how it scores.

A model is asked for the log-likelihoods of some of its labels (up to a constant, natural
logarithm); what they mean together is for finetune.identify.identifier to say. Imports nothing
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
from finetune.sources.fetch import checksum
from finetune.spec.identify import FastTextModel, Identify

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
"""Groups of franc's trigram models. What it calls by script alone (Bengali, Tamil) is left out: it
cannot tell Assamese from Bengali, and the script is checked anyway."""
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
"""Where fewer than 1 in 200 true lines of 20 letters and more were called another language
(Kolibri's messages and the Universal Declaration, docs/language-id.md)."""
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
    """How sure it must be, by default, before a text is called another language than it claims."""
    bind: Callable[[Sequence[str]], Scorer]
    """Returns how to score a line (no line ends) for some of the labels."""
    last_resort: bool = False
    """Whether what can be learned from the cards themselves is more to be trusted."""


def load_models(settings: Identify) -> tuple[Model, ...]:
    """Load the models that a recipe names, in its order.

    Raises DataError for a package that is not installed, or a file that is missing, has another
    checksum or is no such model: all problems at once.
    """
    models: list[Model] = []
    problems: list[str] = []
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
    release = _installed("py3langid", extra=None)
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
    release = _installed("pyfranc", extra=None)
    from pyfranc import franc

    labels = {
        f"{code}_{FRANC_SCRIPTS[group]}": code
        for group, languages in franc.data.items()
        for code in languages
    }

    def bind(chosen: Sequence[str]) -> Scorer:
        wanted = {labels[label]: label for label in chosen}

        def score(line: str) -> Scores:
            found = franc.lang_detect(line, whitelist=list(wanted), minlength=1)
            weight = FRANC_SCALE * math.sqrt(len(line))
            return {wanted[code]: weight * value for code, value in found if code in wanted}

        return score

    return Model("franc", release, "MIT", tuple(labels), FRANC_THRESHOLD, bind, last_resort=True)


@lru_cache(maxsize=1)
def load_heliport() -> Model:
    """Load heliport: HeLI-OTS (Jauhiainen et al. 2022), words and n-grams of 200 languages."""
    release = _installed("heliport", extra="heliport")
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
    release = _installed("fasttext-predict", extra="fasttext")
    if not path.is_file():
        raise DataError(f"prepare.identify.models: there is no file {str(path)!r}")
    actual = checksum(path)
    if actual != sha256:
        raise DataError(
            f"prepare.identify.models: {path}: sha256 is {actual}, the recipe says {sha256}; get "
            "the file that was meant, or correct the recipe"
        )
    labels = read_fasttext_file(path).labels
    import fasttext

    try:
        model = fasttext.load_model(str(path))
    except (ValueError, MemoryError) as error:
        raise DataError(f"{path}: fastText cannot open it: {error}") from None

    def bind(chosen: Sequence[str]) -> Scorer:
        wanted = frozenset(chosen)

        def score(line: str) -> Scores:
            # below any threshold, or a hierarchical softmax leaves out improbable labels
            readable = line.encode("utf-8", "replace").decode()
            names, shares = model.predict(readable, k=len(labels), threshold=-1.0)
            return {
                name: math.log(max(share, LEAST))
                for name, share in zip(names, shares, strict=True)
                if name in wanted
            }

        return score

    named = f"{actual[:12]} (fasttext-predict {release})"
    return Model(path.name, named, "as its makers state", labels, FASTTEXT_THRESHOLD, bind)


def _installed(package: str, *, extra: str | None) -> str:
    """Return the version of a package. Raises DataError that says how to install it."""
    try:
        return version(package)
    except PackageNotFoundError:
        how = f"pip install 'finetune-lowres[{extra}]'" if extra else f"pip install {package}"
        raise DataError(
            f"prepare.identify.models: {package} is not installed; {how}, or take the model out "
            "of the list"
        ) from None


_PACKAGED: Mapping[str, Callable[[], Any]] = {
    "py3langid": load_py3langid,
    "franc": load_franc,
    "heliport": load_heliport,
}
