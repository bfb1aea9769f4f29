"""Texts of the corpus report, for people who do not program."""

from __future__ import annotations

from collections.abc import Mapping

from finetune.messages import Sentence, sentence

WORDS: Mapping[str, Sentence] = {
    "title": sentence("Corpus report"),
    "intro": sentence(
        "Every text that was read was either kept or rejected for one reason. If you speak one of "
        "these languages, please look at the samples: you see at once what no program can know. "
        "All rejected texts are in the file rejected.jsonl beside this page."
    ),
    "read": sentence("texts read"),
    "kept": sentence("kept"),
    "rejected": sentence("rejected"),
    "changed": sentence("small changes"),
    "funnel": sentence("From texts read to texts kept"),
    "funnel-help": sentence(
        "The dark bar shows what is left after each step; the light end shows what the step "
        "rejected."
    ),
    "by-card": sentence("Each card separately"),
    "reasons": sentence("What the reasons mean"),
    "train": sentence("for training"),
    "validation": sentence("for validation"),
    "test": sentence("held out for the test"),
    "languages": sentence("Languages"),
    "language": sentence("language"),
    "texts": sentence("texts"),
    "words": sentence("words"),
    "bytes": sentence("bytes"),
    "tokens": sentence("tokens"),
    "bytes-per-token": sentence("bytes per token"),
    "tokens-per-word": sentence("tokens per word"),
    "fertility": sentence("Does the tokenization suit the language?"),
    "fertility-help": sentence(
        "A model reads words in pieces, called tokens. The more tokens per word, the less the "
        "model knows the language, and the slower it reads and writes it. Counted in the target "
        "texts. Words are separated by spaces here, so the number means little for scripts "
        "without spaces."
    ),
    "lengths": sentence("Length of the texts"),
    "lengths-help": sentence(
        "Each column is a number of texts; below it stands the length, in characters, at which the "
        "column begins."
    ),
    "packed": sentence("Packed for training"),
    "sequences": sentence("packed sequences"),
    "supervised": sentence("target tokens"),
    "changes": sentence("Changes in the texts"),
    "changes-help": sentence(
        "A letter is changed only by a rule of its language. Red and struck through: "
        "before. Green: after. A code in brackets is an invisible character."
    ),
    "change": sentence("change"),
    "findings": sentence("Unusual, and left unchanged"),
    "findings-help": sentence(
        "Nothing of this was changed. A speaker of the language will see whether it is correct."
    ),
    "finding": sentence("finding"),
    "lines": sentence("lines"),
    "personal": sentence("Personal data"),
    "personal-help": sentence(
        "Found by patterns: numbers and addresses, and names only where the card has a column for "
        "them. Other names of people are not found. The originals are blacked out here."
    ),
    "kind": sentence("kind"),
    "times": sentence("times"),
    "per-thousand": sentence("per 1,000 texts"),
    "model-view": sentence("What the model sees"),
    "model-view-help": sentence(
        "One box per token; a small number counts the tokens of one character or word. Green: "
        "target text, which the model learns to write. Grey: given."
    ),
    "identification": sentence("Are the texts in the declared language?"),
    "identification-help": sentence(
        "Every line was compared with the languages that may have slipped in. Programs make "
        "mistakes, above all on short lines and between related languages: look at the samples. "
        "'Unsupported' means that no installed model knows the language, so only the script was "
        "checked."
    ),
    "confirmed": sentence("confirmed"),
    "other-languages": sentence("other languages"),
    "undecided": sentence("undecided or too short"),
    "unsupported": sentence("unsupported"),
    "kept-samples": sentence("Samples of kept texts"),
    "rejected-samples": sentence("Samples of rejected texts"),
    "no-text": sentence("(no text)"),
    "copies": sentence("Near-duplicates"),
    "copies-help": sentence(
        "Of nearly identical texts only one is kept, and nothing close to a text of the test is "
        "used for training. Red and struck through: only in the kept text. Green: only in the "
        "rejected one."
    ),
    "minimal-pairs": sentence("minimal pairs, both kept"),
    "minimal-pairs-help": sentence(
        "Nearly identical texts are both kept for training where a word or a number that matters "
        "is another one."
    ),
    "no-copies": sentence("None were found."),
    "samples": sentence("samples"),
    "held": sentence("Sentences reserved for evaluation"),
    "held-help": sentence(
        "The model will be evaluated on these sets, so no text that contains one of their "
        "sentences is used for training."
    ),
    "set": sentence("set"),
    "sentences": sentence("sentences"),
    "met": sentence("of them in the corpus"),
    "nothing-rejected": sentence("Nothing was rejected."),
    "nothing-changed": sentence("No text was changed."),
}

PERSONAL: Mapping[str, Sentence] = {
    "email": sentence("e-mail addresses"),
    "phone": sentence("telephone numbers"),
    "national_id": sentence("identity card numbers"),
    "bank_account": sentence("bank accounts (IBAN)"),
    "payment_card": sentence("payment cards"),
    "ip_address": sentence("IP addresses"),
    "account_url": sentence("addresses of accounts"),
    "names": sentence("names of people"),
}
"""The kinds of finetune.spec.sections.text_checks.KINDS."""
