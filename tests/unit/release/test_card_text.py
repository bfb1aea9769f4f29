"""Texts of owners and engineers in a release are shown as written, not as markup."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finetune.artefacts.job import Job
from finetune.artefacts.results import Effect
from finetune.output.terminal import one_line, safe
from finetune.release.body import card_body
from finetune.release.licence_texts.shipped import texts_for
from finetune.release.recorded import Licensing, licensing
from finetune.release.run import _combined_terms, _notice
from finetune.spec.permission import Terms
from finetune.spec.terms.strictest import strictest_terms
from tests.support.hostile_text import CONTROLS, MARKUP, SCRIPTS
from tests.support.markdown_reader import Read, read, words_of
from tests.support.release_job import RECIPE, card, comparison, release_job, score

WORD = "Wordinplace"
HOSTILE = [
    *(text for text in MARKUP if text == text.strip()),
    CONTROLS["title and clear"],
    CONTROLS["override"],
    *SCRIPTS[:2],
]
"""tests/unit/output/test_markdown.py tries all of them, one by one."""


def job_with(root: Path, text: str, *, prompt: str = "Say: {text}") -> Job:
    """Return a release whose every free field holds a text."""
    corpus = {
        "consent": {"basis": "community", "statement": text, "withdrawal": text},
        "access": {"kind": "agree", "conditions": text},
        "contact": text,
        "speakers": {"who": text},
        "terms": _terms(text),
    }
    names = {"license_name": text, "license_link": text}
    hostile = card(licence="other", corpus=corpus, **names).model_copy(update={"pretty_name": text})
    corpora = [RECIPE["corpora"][0] | {"prompt": prompt}]
    recipe = {
        "corpora": corpora,
        "release": RECIPE["release"] | {"summary": text},
        "lora": {"target_modules": [text or "x"]},
    }
    return release_job(
        root,
        recipe=recipe,
        cards={"school-hau": hostile},
        base={"source": text},
        prepare={"rejected": {text: 3}},
        train={"energy": {"kilowatt_hours": 1.0, "method": text}},
        evaluate={
            "scores": [score("base", 2.0), score("adapter", 1.5)],
            "comparisons": [comparison(test=text, better="base", low=0.1, high=0.2)],
        },
    )


def _terms(text: str) -> dict[str, Any]:
    """Return terms of a community with a text in every free field."""
    page = "https://example.org/label"
    label = {"id": "a1b2", "url": page, "name": text, "text": text}
    return {
        "authority": {"who": text, "contact": text},
        "users": [{"who": text, "conditions": text}],
        "reinvestment": text,
        "forbidden_uses": [f"{text} or the like"],
        "labels": [label | {"text_source": page, "text_date": "2026-11-30"}],
        "granted": {"by": text, "on": "2026-11-30", "statement": text},
    }


def terms_of(text: str) -> Licensing:
    reasons = (f"card 'school-hau' is {text}", text)
    terms = strictest_terms({"school-hau": card(corpus={"terms": _terms(text)})})
    gate = (text, f"Title: {text}")
    return Licensing("other", reasons, gate, name=text, link="LICENSE", terms=terms)


def body_of(job: Job, text: str) -> Read:
    """Return the model card as it is read."""
    effect = Effect(28, {}, "fp32", tolerance=1e-4)
    return read(card_body(job, licence=terms_of(text), effect=effect))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Read:
    root = tmp_path_factory.mktemp("expected")
    return body_of(job_with(root, WORD), WORD)


@pytest.mark.parametrize("text", HOSTILE)
def test_the_model_card_shows_every_field_as_it_was_written(
    tmp_path: Path, expected: Read, text: str
) -> None:
    """No link, picture or HTML but the template's own, no other structure, the same words."""
    prompt = f"{text}\n{{text}}"
    found = body_of(job_with(tmp_path, text, prompt=prompt), text)
    said, wanted = (
        [line for line in shown.replace(code, "").split("\n") if "prompt = " not in line]
        for shown, code in (
            (found.text, safe(f"{prompt}\n".replace("\r", "\n"))),
            (expected.text.replace(WORD, words_of(text)), "Say: {text}\n"),
        )
    )
    assert said == wanted
    links = ("https://huggingface.co/tiny/base", "TRAINING_CONTENT.md")
    assert found.links == expected.links == links
    assert found.images == expected.images == ()
    assert found.html == expected.html
    tags = {tag for block in found.html for tag in re.findall(r"<[^>]*>", block)}
    assert tags == {"<details>", "</details>", "<summary>", "</summary>"}
    words = ("text", "code_inline")
    assert [k for k in found.kinds if k not in words] == [
        k for k in expected.kinds if k not in words
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_notice_and_licence_are_text(tmp_path: Path, text: str) -> None:
    """No control character, no line of its own, nothing that is a tag."""
    job = job_with(tmp_path, text)
    expected = job_with(tmp_path, WORD)
    texts = texts_for(["mit", "gemma"])
    said = terms_of(text).terms_said
    for made in (
        lambda one: _notice(one, texts, said),
        lambda one: _combined_terms(one, terms_of(text)),
    ):
        shown = made(job)
        assert shown == "\n".join(map(one_line, shown.split("\n")))
        assert "<script" not in shown
        assert "<img" not in shown
    assert _notice(job, texts).count("\n") == _notice(expected, texts).count("\n")


def test_a_link_of_a_licence_is_a_page(tmp_path: Path) -> None:
    """The Hub makes a link of license_link: only http and https go there, or the file beside."""
    job = job_with(tmp_path, "x")
    for link, published in (
        ("https://example.org/terms", "https://example.org/terms"),
        ("javascript:alert(1)", "LICENSE"),
        ("data:text/html,x", "LICENSE"),
        ("https://me:pw@example.org/terms", "LICENSE"),
    ):
        cards: dict[str, Any] = {
            "school-hau": job.cards["school-hau"].model_copy(
                update={"license_name": "apache-2.0", "license_link": link}
            )
        }
        found = licensing(replace(job, cards=cards), Terms("other", ("x",)))
        assert found.link == published
