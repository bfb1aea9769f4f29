"""Personal data in the texts: nothing that a command shows or writes quotes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune.cards.check.findings import check_card
from finetune.cli import main
from finetune.prepare.run import run
from finetune.spec.load import load_card
from finetune.text.shown import shown
from tests.support.good_card import TODAY
from tests.support.planted import HIDDEN, NAME, PLANTED, found, found_in
from tests.support.prepare_job import make_job
from tests.support.surroundings import Inside, Variables

SENTENCES = {
    "wol_Latn": "Na nga def, woo ma ci {}, jërëjëf",
    "wol_Arab": "نَ نگَ دٜف {} جࣹرٜجࣹف",
    "hin_Deva": "मुझे {} पर लिखिए, धन्यवाद",
    "urd_Arab": "مجھے {} پر لکھیں، شکریہ",
}
OTHER = "Позвоните мне по номеру {} завтра утром"
"""In another script than any of the cards, so that a finding has an example."""


def corpus(language: str) -> str:
    """Return a table: texts with planted data first, then others, and who is named in them."""
    rows = [("texte", "noms", "qui")]
    rows += [(OTHER.format(datum), "", "c1") for datum in PLANTED[language]]
    rows += [(SENTENCES[language].format(datum), "", "c1") for datum in PLANTED[language]]
    rows += [(SENTENCES[language].format(NAME), NAME, "c2")] * 2
    rows += [(SENTENCES[language].format(f"{n} {n * n}"), "", "c1") for n in range(60)]
    rows += [("ab", "", "c1")]
    return "".join("\t".join(row) + "\n" for row in rows)


@pytest.fixture(params=PLANTED)
def card(
    request: pytest.FixtureRequest, tmp_path: Path, inside: Inside, variables: Variables
) -> Path:
    """A card of planted data that `cards new` wrote; the caches are in the folder."""
    inside(tmp_path)
    variables(XDG_CACHE_HOME=str(tmp_path / "cache"))
    Path("corpus.tsv").write_text(corpus(request.param), encoding="utf-8")
    columns = ("text=texte", "names=noms", "contributor=qui")
    options = [f"--column={one}" for one in columns]
    flags = [f"--language={request.param}", "--name=planted", "--licence=cc0-1.0", *options]
    assert main(["cards", "new", "corpus.tsv", *flags]) == 0
    return Path("data_cards/planted.md")


def test_no_card_verb_quotes_personal_data(card: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Card, findings, list and catalogue, on the terminal, in JSON and in files."""
    language = load_card(card).corpus.languages[0]
    data = [*PLANTED[language], NAME]
    for lang in ("en", "fr"):
        for arguments in (
            ["check", "planted"],
            ["check", "planted", "--json"],
            ["list"],
            ["catalogue", f"page-{lang}"],
        ):
            assert main(["cards", *arguments, f"--lang={lang}"]) in (0, 2)
    shown_text = capsys.readouterr()
    assert "other-script" in shown_text.out
    assert found(shown_text.out + shown_text.err, data) == []
    assert found_in(Path(), data, copies=[Path("corpus.tsv")]) == {}
    codes = {finding.code: finding for finding in check_card(card, today=TODAY)}
    assert codes["personal-data-found"].level == "warning"


@pytest.mark.parametrize(
    ("card", "action"),
    [("hin_Deva", "mask"), ("urd_Arab", "drop"), ("wol_Latn", "keep")],
    indirect=["card"],
)
def test_prepare_quotes_personal_data_nowhere(card: Path, tmp_path: Path, action: str) -> None:
    """Reports, lists of rejected texts and their table, also where the recipe keeps the data."""
    made = load_card(card)
    data = [*PLANTED[made.corpus.languages[0]], NAME]
    kinds = ("email", "phone", "national_id", "bank_account", "payment_card", "ip_address")
    policy = dict.fromkeys((*kinds, "account_url", "names"), action)
    job = make_job(tmp_path / "job", made, personal_data=policy, min_characters=5)
    run(job)
    report = json.loads((job.workspace / "report.json").read_text(encoding="utf-8"))
    assert {row["kind"] for row in report["personal_data"]} >= {"email", "phone", "names"}
    assert (job.workspace / "rejected.jsonl").stat().st_size > 0
    assert found_in(job.workspace, data) == {}


DATUM = PLANTED["wol_Latn"][-2]
MALFORMED = {
    "fields.csv": f"texte,qui\nbenn,a\n{DATUM},b,c,{DATUM}\nñaar,{DATUM},x\n",
    "no-header.csv": f"1,{DATUM},a\n2,woo {DATUM},b\n",
    "broken.jsonl": f'{{"text": "woo {DATUM}" "x"}}\n' * 3,
    "roles.jsonl": json.dumps({"messages": [{"role": f"woo {DATUM}", "content": "x"}]}) + "\n",
    "content.jsonl": json.dumps({"messages": f"woo ma ci {DATUM}"}) + "\n",
    "list.jsonl": json.dumps([f"woo {DATUM}"]) + "\n",
    "twice.json": json.dumps({f"woo {DATUM}": "x"})[:-1] + f', "woo {DATUM}": "y"}}',
    "broken.po": f'msgid "woo {DATUM}\nmsgstr "x"\n',
    "broken.tmx": f"<tmx><body><tu><tuv><seg>woo {DATUM}</tu></body></tmx>",
    "broken.srt": f"1\nwoo {DATUM}\n\n2\n{DATUM} --> x\n",
    "marker.sfm": f"woo {DATUM}\n",
    "odd.tsv": f'texte\tqui\n"woo {DATUM}\tb\nñaar\tc\n',
}
"""Name of a file that is damaged or unclear -> its content, with a telephone number."""


@pytest.mark.parametrize("name", MALFORMED)
def test_no_message_about_a_damaged_file_quotes_personal_data(
    tmp_path: Path,
    inside: Inside,
    variables: Variables,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    """Whatever becomes of such a file, with or without columns, as text, pair or conversation."""
    inside(tmp_path)
    variables(XDG_CACHE_HOME=str(tmp_path / "cache"))
    Path(name).write_text(MALFORMED[name], encoding="utf-8")
    for number, options in enumerate(
        (
            ["--language=wol_Latn"],
            ["--language=wol_Latn", "--column=text=texte"],
            ["--language=wol_Latn", "--kind=chat", "--column=messages=messages"],
            ["--language=fra_Latn,wol_Latn"],
        )
    ):
        for more in ([], ["--json"]):
            card = f"--name=c{number}{len(more)}"
            assert main(["cards", "new", name, *options, card, *more]) in (0, 2)
    written = capsys.readouterr()
    assert found(written.out + written.err, [DATUM]) == []
    assert found_in(tmp_path, [DATUM], copies=[Path(name)]) == {}


def test_a_quotation_hides_what_prepare_would_find() -> None:
    """Also behind invisible signs, at the cut of a long text, and over the end of a line."""
    for text in (f"x {HIDDEN} y", "waaw " * 31 + f"{HIDDEN} y", HIDDEN.replace(" ", "\n")):
        quotation = shown(text)
        assert found(quotation, [HIDDEN]) == []
        assert not set("123456789") & set(quotation)
