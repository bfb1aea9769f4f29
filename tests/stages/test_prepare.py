from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from finetune.artefacts.items import read_items
from finetune.artefacts.job import Job
from finetune.artefacts.packed_split import PackedSplit, open_split
from finetune.errors import DataError
from finetune.prepare.run import run
from finetune.spec.withdrawn import record_hash
from tests.support.prepare_job import HAUSA, PAIRS, make_card, make_job, pairs_card
from tests.support.problems import codes_of, raises
from tests.support.tiny import tiny_tokenizer

SPLITS = ("train", "validation", "test")


def opened(job: Job, result: dict[str, Any], split: str) -> PackedSplit:
    """Open a split of a finished job."""
    return open_split(
        job.workspace / split,
        languages=tuple(result["languages"]),
        cards=tuple(result["cards"]),
    )


def contents(folder: Path) -> dict[str, str]:
    """Return path -> checksum of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def texts_of(job: Job, split: PackedSplit) -> list[str]:
    """Return the decoded text of every segment, control marks included."""
    tokenizer = tiny_tokenizer()
    return [
        tokenizer.decode(split.tokens_NT[d["row"], d["start"] : d["start"] + d["length"]].tolist())
        for d in split.documents_D
    ]


def chat_job(folder: Path, **prepare: Any) -> Job:
    """Return a job over a text card, a parallel card and a chat card."""
    chats = [
        {"m": [{"role": "user", "content": f"Tambaya {n}?"}, {"role": "assistant", "content": a}]}
        for n, a in enumerate(HAUSA[:60])
    ]
    return make_job(
        folder,
        make_card(folder, "text", "\n".join(HAUSA)),
        pairs_card(folder),
        make_card(
            folder,
            "chat",
            "".join(json.dumps(c) + "\n" for c in chats),
            kind="chat",
            format="jsonl",
            columns={"messages": "m"},
        ),
        **prepare,
    )


def test_preparing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """Every file of the artefact, reports included, and the result are the same."""
    jobs = [chat_job(tmp_path / name) for name in ("one", "two")]
    results = [run(job) for job in jobs]
    for result in results:  # measured anew each time
        result.pop("energy", None)
    assert results[0] == results[1]
    assert contents(jobs[0].workspace) == contents(jobs[1].workspace)
    assert set(contents(jobs[0].workspace)) == {
        *(
            f"{s}/{a}.npy"
            for s in SPLITS
            for a in ("tokens", "segments", "supervised", "documents")
        ),
        "train/ledger_lines.npy",
        "validation/items.jsonl",
        "test/items.jsonl",
        "report.html",
        "report.json",
        "rejected.jsonl",
        "ledger.jsonl",
        "chat_template.jinja",
    }


def test_the_seed_moves_rows_and_never_splits(tmp_path: Path) -> None:
    """Another seed packs the same documents into the same splits in another order."""
    jobs = [chat_job(tmp_path / str(seed), seed=seed) for seed in (0, 1)]
    one, two = (opened(job, run(job), "train") for job in jobs)
    assert sorted(texts_of(jobs[0], one)) == sorted(texts_of(jobs[1], two))
    assert one.tokens_NT.tobytes() != two.tokens_NT.tobytes()


def test_the_packed_format_is_what_it_says(tmp_path: Path) -> None:
    """Records, segments, targets and padding agree with artefacts.packed_split's description."""
    job = chat_job(tmp_path)
    result = run(job)
    for name in SPLITS:
        split = opened(job, result, name)
        assert split.tokens_NT.dtype == np.uint32
        assert split.tokens_NT.shape[1] == 256
        seen_NT = np.zeros(split.tokens_NT.shape, dtype=bool)
        places = [(int(d["row"]), int(d["start"])) for d in split.documents_D]
        assert places == sorted(places)
        number_in_row: dict[int, int] = {}
        for record in split.documents_D:
            row, begin = int(record["row"]), int(record["start"])
            span = slice(begin, begin + int(record["length"]))
            number_in_row[row] = number_in_row.get(row, 0) + 1
            assert (split.segments_NT[row, span] == number_in_row[row]).all()
            assert split.supervised_NT[row, span].sum() == record["supervised_tokens"]
            assert split.supervised_NT[row, begin] == 0
            assert not seen_NT[row, span].any()
            seen_NT[row, span] = True
        assert ((split.segments_NT > 0) == seen_NT).all()
        assert not split.tokens_NT[~seen_NT].any()
        assert not split.supervised_NT[~seen_NT].any()
        assert result["counts"][name]["tokens"] == seen_NT.sum()
        numbers = set(split.documents_D["document"].tolist())
        assert numbers == set(range(result["counts"][name]["documents"]))


def test_every_document_ends_with_a_learned_stop_token(tmp_path: Path) -> None:
    """The last token of each text, pair and conversation is the stop token, and a target."""
    job = chat_job(tmp_path)
    result = run(job)
    stop = tiny_tokenizer().eos_token_id
    for name in SPLITS:
        split = opened(job, result, name)
        last = split.documents_D["start"] + split.documents_D["length"] - 1
        rows = split.documents_D["row"]
        assert (split.tokens_NT[rows, last] == stop).all()
        assert (split.supervised_NT[rows, last] == 1).all()


def test_loss_falls_on_answers_only(tmp_path: Path) -> None:
    """Of pairs and conversations just the answer and its stop token are targets."""
    job = chat_job(tmp_path)
    split = opened(job, run(job), "train")
    tokenizer = tiny_tokenizer()
    for record in split.documents_D:
        row, span = record["row"], slice(record["start"], record["start"] + record["length"])
        chosen = split.supervised_NT[row, span] == 1
        learned = tokenizer.decode(split.tokens_NT[row, span][chosen].tolist())
        whole = tokenizer.decode(split.tokens_NT[row, span].tolist())
        if split.cards[record["card"]] == "text":
            assert chosen[1:].all()
        else:
            assert whole.endswith("<|im_start|>assistant\n" + learned)
            assert record["supervised_bytes"] == len(learned.removesuffix("<|im_end|>").encode())


def test_items_are_ready_for_evaluation(tmp_path: Path) -> None:
    """Line i of items.jsonl is record i: laid-out prompt, reference, direction."""
    job = chat_job(tmp_path)
    split = opened(job, run(job), "test")
    items = read_items(job.workspace / "test", split)
    answers = dict(PAIRS)
    for item, record, text in zip(items, split.documents_D, texts_of(job, split), strict=True):
        assert (item.card, item.language) == (
            split.cards[record["card"]],
            split.languages[record["language"]],
        )
        if item.card == "text":
            assert (item.prompt, item.reference, item.direction) == (None, None, None)
            continue
        assert text == f"{item.prompt}{item.reference}<|im_end|>"
        assert (item.direction is None) == (item.card == "chat")
        if item.direction:
            assert item.direction == "eng_Latn>hau_Latn"
            assert answers[str(item.source)] == item.reference
            assert item.id == hashlib.sha256(str(item.source).encode()).hexdigest()


def test_two_languages_of_one_source_split_together(tmp_path: Path) -> None:
    """A sentence held out in one language is in no training text of another."""
    yoruba = [(english, f"Ológbò {n} jókòó.") for n, (english, _) in enumerate(PAIRS)]
    job = make_job(
        tmp_path,
        pairs_card(tmp_path, "hausa"),
        pairs_card(tmp_path, "yoruba", target="yor_Latn", pairs=yoruba),
    )
    result = run(job)
    assert result["languages"] == ["hau_Latn", "yor_Latn"]
    sources = {}
    for name in SPLITS:
        found = re.findall(
            r"The cat number (\d+) sat", "".join(texts_of(job, opened(job, result, name)))
        )
        sources[name] = set(found)
        assert all(found.count(number) == 2 for number in found)
    assert not sources["train"] & sources["test"]
    assert not sources["train"] & sources["validation"]
    assert sum(map(len, sources.values())) == len(PAIRS)


def test_no_phase_trains_on_what_another_holds_out(tmp_path: Path) -> None:
    """Translations held out in the second phase are no plain text of the first, nor vice versa."""
    plain = make_card(tmp_path, "plain", "\n".join(target for _, target in PAIRS))
    phases = [[plain], [pairs_card(tmp_path)]]
    texts: dict[str, list[set[str]]] = {split: [] for split in SPLITS}
    for number in (0, 1):
        folder = tmp_path / f"job-{number}"
        folder.mkdir()
        job = make_job(folder, phases=phases)
        job = replace(job, phase=job.recipe.training_phases[number])
        result = run(job)
        assert result["rejected"]["in-evaluation"] > 0
        for split in SPLITS:
            decoded = texts_of(job, opened(job, result, split))
            texts[split].append(
                {target for _, target in PAIRS if any(target in d for d in decoded)}
            )
    for one, other in ((0, 1), (1, 0)):
        assert not texts["train"][one] & (texts["test"][other] | texts["validation"][other])
        assert not texts["validation"][one] & texts["test"][other]
    assert texts["test"][0] | texts["test"][1] != texts["test"][0]  # both hold something out


def test_decomposed_text_becomes_nfc_and_is_counted(tmp_path: Path) -> None:
    """NFD input gives the tokens of NFC input, and the report states how often."""
    import unicodedata

    lines = [f"Ọmọ náà {n} ń ka ìwé púpọ̀." for n in range(60)]
    made = []
    for form in ("NFC", "NFD"):
        folder = tmp_path / form
        content = unicodedata.normalize(form, "\n".join(lines))
        job = make_job(folder, make_card(folder, "yor", content, languages=["yor_Latn"]))
        run(job)
        made.append(job.workspace)
    assert (made[0] / "train/tokens.npy").read_bytes() == (
        made[1] / "train/tokens.npy"
    ).read_bytes()
    changes = json.loads((made[1] / "report.json").read_text())["changes"]
    assert [(c["language"], c["change"], c["texts"]) for c in changes] == [("yor_Latn", "nfc", 60)]
    sample = changes[0]["samples"][0]
    assert sample["after"] == unicodedata.normalize("NFC", sample["before"]) != sample["before"]


def test_a_long_text_is_split_dropped_or_refused(tmp_path: Path) -> None:
    """The three over-length policies do what they say; pairs are never cut."""
    again = {"max_repetition": 1}  # the long texts say the same nine times
    long = " ".join(HAUSA[:9])
    content = "\n".join([*HAUSA[10:], *(f"{n} {long}" for n in range(12))])
    results = {}
    for policy in ("split", "drop"):
        folder = tmp_path / policy
        job = make_job(folder, make_card(folder, "text", content), over_length=policy, text=again)
        results[policy] = run(job)
        split = opened(job, results[policy], "train")
        if policy == "split":
            numbers = split.documents_D["document"].tolist()
            assert len(numbers) > len(set(numbers))
    assert "over-length" not in results["split"]["rejected"]
    assert results["drop"]["rejected"]["over-length"] == 12
    folder = tmp_path / "error"
    job = make_job(folder, make_card(folder, "text", content), over_length="error", text=again)
    with pytest.raises(DataError) as caught:
        run(job)
    [found] = caught.value.problems
    assert found.code == "over-length"
    assert found.facts == {"card": "text", "tokens": 256}
    assert "text.text:" in str(found.place)
    folder = tmp_path / "pairs"
    pairs = [*PAIRS, *((f"{n} {long}", f"gajere {n}") for n in range(5))]
    job = make_job(folder, pairs_card(folder, pairs=pairs), text=again)
    assert run(job)["rejected"]["over-length"] == 5


def test_nothing_left_is_an_error_that_counts_why(tmp_path: Path) -> None:
    """An empty split names the reasons and their numbers."""
    pairs = [("{a}", f"{{a}} {n}") for n in range(30)] + [("same", "same")]
    job = make_job(tmp_path, pairs_card(tmp_path, pairs=pairs, drop_matching="[{}]"))
    with pytest.raises(DataError) as caught:
        run(job)
    [found] = caught.value.problems
    assert found.code == "empty-split"
    assert found.facts["splits"] == ("train", "validation", "test")
    assert found.facts["count"] == 31
    assert found.facts["rejected"] == ("matches-drop-pattern 30", "untranslated 1")


def test_a_card_without_text_is_a_row_of_zeros(tmp_path: Path) -> None:
    """The others are prepared; the report counts 0 for it, and the terminal warns."""
    cards = [make_card(tmp_path, "text", "\n".join(HAUSA)), make_card(tmp_path, "blank", "\n \n")]
    job = make_job(tmp_path, *cards)
    run(job)
    rows = json.loads((job.workspace / "report.json").read_text("utf-8"))["funnel"]
    assert {row["card"]: row["read"] for row in rows} == {"text": len(HAUSA), "blank": 0}
    assert isinstance(job.console.out, io.StringIO)
    assert "blank: the files hold no text" in job.console.out.getvalue()


def test_a_test_set_that_is_empty_is_an_error(tmp_path: Path) -> None:
    """Two documents cannot be trained on and tested; the message names the key of the card."""
    job = make_job(tmp_path, make_card(tmp_path, "text", "daya\nuku\n"))
    with pytest.raises(DataError) as caught:
        run(job)
    [found] = caught.value.problems
    assert found.code == "no-test-records"
    assert found.place is not None
    assert found.place.key == "corpus.test"
    assert found.facts["none"] == "`test: none`"
    assert [kept.split()[0] for kept in found.facts["kept"]] == ["train", "validation", "test"]


@pytest.mark.parametrize("lines", [1, 2, 10, 50])
def test_a_small_card_without_a_test_is_trained_on(tmp_path: Path, lines: int) -> None:
    """With `test: none` every text is for training or validation, however few there are."""
    card = make_card(tmp_path, "text", "\n".join(HAUSA[:lines]), test="none")
    result = run(make_job(tmp_path, card, validation_share=0.05))
    counts = result["counts"]
    assert counts["train"]["documents"] + counts["validation"]["documents"] == lines
    assert counts["test"]["documents"] == 0


def test_the_files_that_a_card_names_are_its_test(tmp_path: Path) -> None:
    """All records of these files and no others are the test; a copy in training is removed."""
    files = {"rubutu.txt": "\n".join(HAUSA[:40]), "gwaji.txt": "\n".join(HAUSA[38:60])}
    card = make_card(tmp_path, "text", files, test=["gwaji.txt"])
    job = make_job(tmp_path, card)
    result = run(job)
    assert result["counts"]["test"]["documents"] == 22
    held = {item.id for item in read_items(job.workspace / "test", opened(job, result, "test"))}
    assert held == {hashlib.sha256(text.encode()).hexdigest() for text in HAUSA[38:60]}
    assert result["rejected"] == {"in-evaluation": 2}


def test_a_named_test_file_must_be_one_of_the_card(tmp_path: Path) -> None:
    """A misspelt file is an error at its key, not a test of nothing."""
    with pytest.raises(ValidationError) as refused:
        make_card(tmp_path, "text", {"gwaji.txt": "daya"}, test=["gwaij.txt"])
    assert codes_of(refused.value) == ["test-file-not-in-card"]


def test_sides_do_not_depend_on_other_cards(tmp_path: Path) -> None:
    """A card without a test beside one with a test changes no side of the other's texts."""
    sides = []
    for name, beside in (("alone", ()), ("both", HAUSA[60:])):
        folder = tmp_path / name
        cards = [make_card(folder, "text", "\n".join(HAUSA[:60]))]
        if beside:
            cards.append(make_card(folder, "small", "\n".join(beside), test="none"))
        job = make_job(folder, *cards)
        result = run(job)
        items = read_items(job.workspace / "test", opened(job, result, "test"))
        sides.append({item.id for item in items if item.card == "text"})
    assert sides[0] == sides[1] != set()


def test_a_conversation_that_the_template_refuses_is_one_rejection(tmp_path: Path) -> None:
    """It is counted and its record named with the remedy; all others are trained on."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}{% if 'Tambaya 7?' in m['content'] %}"
        "{{ raise_exception('Roles must alternate') }}{% endif %}"
        "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    chats = [
        {"m": [{"role": "user", "content": f"Tambaya {n}?"}, {"role": "assistant", "content": a}]}
        for n, a in enumerate(HAUSA[:60])
    ]
    lines = "".join(json.dumps(c) + "\n" for c in chats)
    about: dict[str, Any] = {"kind": "chat", "format": "jsonl", "columns": {"messages": "m"}}
    job = make_job(tmp_path, make_card(tmp_path, "chat", lines, **about), tokenizer=tokenizer)
    result = run(job)
    assert result["rejected"] == {"template-unfit": 1}
    assert isinstance(job.console.out, io.StringIO)
    [said] = [line for line in job.console.out.getvalue().splitlines() if "alternate" in line]
    assert "chat.jsonl:8" in said


def test_the_prompt_of_each_document_is_counted_and_can_be_dropped(tmp_path: Path) -> None:
    """Tokens of system prompt and instruction stand in the report; dropped, documents shrink."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = (
        "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are Probe.<|im_end|>\n"
        "{% endif %}" + tokenizer.chat_template
    )
    found = {}
    for wanted in ("base", "none"):
        folder = tmp_path / wanted
        job = make_job(folder, pairs_card(folder), tokenizer=tokenizer, system_prompt=wanted)
        result = run(job)
        [counted] = json.loads((job.workspace / "report.json").read_text())["prompts"]
        found[wanted] = counted
        assert result["system_message"] == {"base": None, "none": ""}[wanted]
    assert found["base"]["system"] > found["none"]["system"] == 0
    assert found["base"]["instruction"] == found["none"]["instruction"] > 0
    dropped = found["base"]["document"] - found["none"]["document"]
    assert dropped == pytest.approx(found["base"]["system"], abs=1)


def test_every_rejection_can_be_read(tmp_path: Path) -> None:
    """rejected.jsonl holds card, language, reason, place and text of every rejection."""
    pairs = [*PAIRS, ("Kolibri", "Kolibri"), ("Open {n}", "Buɗe {n}"), PAIRS[0]]
    job = make_job(tmp_path, pairs_card(tmp_path, pairs=pairs, drop_matching="[{}]"))
    result = run(job)
    lines = (job.workspace / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert len(found) == sum(result["rejected"].values()) == 3
    assert {r["text"] for r in found if r["reason"] == "matches-drop-pattern"} == {
        "Open {n}\nBuɗe {n}"
    }
    assert [r["where"] for r in found] == ["pairs.tsv:122", "pairs.tsv:123", "pairs.tsv:124"]


def test_the_report_stands_alone_and_escapes_texts(tmp_path: Path) -> None:
    """The page loads nothing, texts are escaped and find their own direction, counts are there."""
    pairs = [*PAIRS, ("<script>alert(1)</script>", "<b>x</b>"), ("Kolibri", "Kolibri")]
    job = make_job(tmp_path, pairs_card(tmp_path, pairs=pairs, drop_matching="<script"))
    result = run(job)
    page = (job.workspace / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?://", page)
    assert 'lang="hau" dir="ltr"' in page
    assert "width=device-width" in page
    assert 'class="t target"' in page
    for word in ("matches-drop-pattern", "untranslated", "hau_Latn", "bytes per token"):
        assert word in page
    facts = json.loads((job.workspace / "report.json").read_text(encoding="utf-8"))
    assert facts["languages"] == result["per_language"]
    step = facts["funnel"][0]
    assert step["read"] == sum(step["rejected"].values()) + sum(step["kept"].values())


def test_no_local_path_is_in_any_file(tmp_path: Path) -> None:
    """No output contains a path of this machine."""
    job = chat_job(tmp_path)
    result = run(job)
    assert str(tmp_path) not in json.dumps(result)
    for path in job.workspace.rglob("*"):
        assert path.is_dir() or str(tmp_path).encode() not in path.read_bytes()


def test_right_to_left_and_joiners_survive(tmp_path: Path) -> None:
    """ZWNJ, ZWJ and modifier letters are in the tokens as they were in the file."""
    lines = [f"می\u200cخواهم {n} क\u094d\u200dष boroʼ ʻokina ሰላም፡ለዓለም" for n in range(50)]
    job = make_job(tmp_path, make_card(tmp_path, "text", "\n".join(lines)))
    split = opened(job, run(job), "train")
    assert {t.removesuffix("<|im_end|>") for t in texts_of(job, split)} <= set(lines)


def test_plain_text_needs_no_chat_template(tmp_path: Path) -> None:
    """A base without a template serves plain text, and the result states that none was used."""
    bare = tiny_tokenizer(chat_template=False)
    job = make_job(tmp_path, make_card(tmp_path, "text", "\n".join(HAUSA)), tokenizer=bare)
    assert run(job)["chat_template"] is None
    assert not (job.workspace / "chat_template.jinja").exists()


def test_progress_is_shown(tmp_path: Path) -> None:
    """The console shows the table of languages and the rejected texts by reason."""
    job = chat_job(tmp_path)
    run(job)
    assert isinstance(job.console.out, io.StringIO)
    shown = job.console.out.getvalue()
    assert "documents by language" in shown
    assert "packed sequences of 256 tokens" in shown


def ledger_of(job: Job) -> list[dict[str, Any]]:
    """Return the lines of the ledger of records."""
    text = (job.workspace / "ledger.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_the_ledger_has_a_line_for_every_kept_document(tmp_path: Path) -> None:
    """Record hash, card, licence, consent, contributor and split of each; and no text."""
    rows = "".join(f"{text}\tspeaker {n % 3}\n" for n, text in enumerate(HAUSA))
    card = make_card(
        tmp_path,
        "radio",
        f"text\twho\n{rows}",
        format="tsv",
        columns={"text": "text", "contributor": "who"},
        consent={"basis": "spoken"},
    )
    job = make_job(tmp_path, card)
    result = run(job)
    lines = ledger_of(job)
    counts = {split: result["counts"][split]["documents"] for split in SPLITS}
    assert {s: sum(x["split"] == s for x in lines) for s in SPLITS} == counts
    assert {x["record"] for x in lines} == {record_hash({"text": text}) for text in HAUSA}
    assert {x["contributor"] for x in lines} == {"speaker 0", "speaker 1", "speaker 2"}
    assert {(x["card"], x["licence"], x["consent"]) for x in lines} == {("radio", "mit", "spoken")}
    assert "Ina kwana" not in (job.workspace / "ledger.jsonl").read_text(encoding="utf-8")


def test_a_withdrawn_record_is_nowhere(tmp_path: Path) -> None:
    """It is counted as withdrawn; its text is in no token, no report and no list of rejections."""
    gone = HAUSA[7]
    card = make_card(tmp_path, "text", "\n".join(HAUSA))
    card = card.model_copy(update={"withdrawn": frozenset([record_hash({"text": gone})])})
    job = make_job(tmp_path, card)
    result = run(job)
    assert result["rejected"] == {"withdrawn": 1}
    assert sum(result["counts"][split]["documents"] for split in SPLITS) == len(HAUSA) - 1
    texts = [text for name in SPLITS for text in texts_of(job, opened(job, result, name))]
    assert not any(gone in text for text in texts)
    for path in job.workspace.rglob("*"):
        assert path.is_dir() or gone.encode() not in path.read_bytes()


@pytest.mark.parametrize("how", ["status", "list"])
def test_nothing_of_a_withdrawn_card_is_used(tmp_path: Path, how: str) -> None:
    """`status: withdrawn` and a list that says `all` leave only the other cards, and report it."""
    text = make_card(tmp_path, "text", "\n".join(HAUSA))
    if how == "list":
        text = text.model_copy(update={"withdrawn": frozenset(["all"])})
    else:
        corpus = text.corpus.model_copy(update={"status": "withdrawn"})
        text = text.model_copy(update={"corpus": corpus})
    job = make_job(tmp_path, text, pairs_card(tmp_path))
    result = run(job)
    assert {line["card"] for line in ledger_of(job)} == {"pairs"}
    assert (result["cards"], result["rejected"]) == (["pairs"], {})
    assert isinstance(job.console.out, io.StringIO)
    assert "text: withdrawn by its owners; nothing of it is read" in job.console.out.getvalue()


def test_a_withdrawn_card_needs_no_files(tmp_path: Path) -> None:
    """Owners who took a corpus back may delete its files; with no other card left, it is said."""
    text = make_card(tmp_path, "text", "\n".join(HAUSA))
    text = text.model_copy(update={"withdrawn": frozenset(["all"])})
    (tmp_path / "text.text").unlink()
    run(make_job(tmp_path, text, pairs_card(tmp_path)))
    with raises(DataError, code="all-withdrawn", names=("text",)):
        run(make_job(tmp_path / "two", text))


def test_with_a_mix_a_row_belongs_to_one_language_and_card(tmp_path: Path) -> None:
    """So that it can be drawn by shares; nothing is lost by it, and validation is not grouped."""
    yoruba = make_card(tmp_path, "yor", "\n".join(HAUSA[:60]), languages=["yor_Latn"])
    cards = (make_card(tmp_path, "hau", "\n".join(HAUSA[60:])), yoruba, pairs_card(tmp_path))
    for name, mixture in (("mixed", {"by": "card"}), ("plain", None)):
        (tmp_path / name).mkdir()
        job = make_job(tmp_path / name, *cards, mixture=mixture)
        result = run(job)
        split = opened(job, result, "train")
        found = np.unique(split.documents_D[["row", "language", "card"]])
        assert (len(found) == split.num_rows) is (mixture is not None)
        report = json.loads((job.workspace / "report.json").read_text("utf-8"))["mixture"]
        assert report["rows_by_group"] is (mixture is not None)
        subsets = {c["card"]: c for c in result["subsets"]}
        assert sum(c["tokens"] for c in subsets.values()) == result["counts"]["train"]["tokens"]
        assert subsets["yor"]["language"] == "yor_Latn"
        if mixture is not None:
            assert sum(c["rows"] for c in subsets.values()) == split.num_rows
    parts = [contents(tmp_path / name / "workspace/validation") for name in ("mixed", "plain")]
    assert parts[0] == parts[1]
