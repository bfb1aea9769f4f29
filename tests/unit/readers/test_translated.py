"""Translators' files: their own word on languages, states and plural forms, and their codes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import polib
import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.errors import DataError
from finetune.readers.translated.plurals import plural_rule
from finetune.readers.translated.xliff import xliff_understood
from finetune.readers.xml_stream import elements
from finetune.sources.files import SourceFile, resolve_files
from finetune.text.placeholders import placeholders_differ
from tests.support.brought_files import PO, TMX, XLIFF, tmx
from tests.support.prepare_job import make_card
from tests.support.problems import raises
from tests.support.reading import problem_of, read, rejections, texts_of

SWAPPED: dict[str, Any] = XLIFF | {"columns": {"fra_Latn": "target", "wol_Latn": "source"}}


def xliff(*units: str, tags: str = 'source-language="fr" target-language="wo"') -> str:
    """Return a file of XLIFF 1.2."""
    return (
        '<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">'
        f'<file original="app" {tags}><body>{"".join(units)}</body></file></xliff>'
    )


def unit(source: str, target: str, state: str = "", of_unit: str = "") -> str:
    """Return a unit of XLIFF 1.2."""
    return (
        f"<trans-unit id='1' {of_unit}><source>{source}</source><target {state}>{target}</target>"
        "</trans-unit>"
    )


def xliff_2(inside: str, tags: str = 'srcLang="fr" trgLang="wo"') -> str:
    """Return a file of XLIFF 2.0 with one unit."""
    name = "urn:oasis:names:tc:xliff:document:2.0"
    return f'<xliff version="2.0" xmlns="{name}" {tags}><file id="f">{inside}</file></xliff>'


def sides(source: str, target: str, state: str = "") -> str:
    """Return a segment of XLIFF 2.0."""
    return f"<segment {state}><source>{source}</source><target>{target}</target></segment>"


@pytest.mark.parametrize(
    ("tags", "column"),
    [
        ('source-language="fr" target-language="wo"', "source"),
        ('source-language="fr-FR" target-language="wo-SN"', "source"),
        ('source-language="fre"', "source"),
    ],
)
def test_sides_that_the_file_contradicts_are_refused(
    tmp_path: Path, tags: str, column: str
) -> None:
    """`columns` in the wrong order trained a translator backwards; the file knows better."""
    data = xliff(unit("Merci", "Jërëjëf"), tags=tags)
    assert texts_of(tmp_path, data, **XLIFF) == [("Merci", "Jërëjëf")]
    with pytest.raises(DataError) as caught:
        read(tmp_path, data, **SWAPPED)
    assert set(caught.value.codes) == {"language-contradicts"}
    first = caught.value.problems[0].facts
    assert {first["tag"], str(first["language"])} & {"wo", "wo-SN", "Wolof (wol_Latn)"}


def test_version_2_states_its_languages_too(tmp_path: Path) -> None:
    """srcLang and trgLang, and xml:lang of a side."""
    data = xliff_2(f"<unit id='1'>{sides('Merci', 'Jërëjëf')}</unit>")
    assert texts_of(tmp_path, data, **XLIFF) == [("Merci", "Jërëjëf")]
    with raises(DataError, code="language-contradicts"):
        read(tmp_path, data.replace('trgLang="wo"', 'trgLang="ha"'), **XLIFF)
    own = unit("Merci", "Jërëjëf").replace("<target", "<target xml:lang='ha'")
    assert problem_of(tmp_path, xliff(own), **XLIFF).facts["tag"] == "ha"


def test_a_catalogue_states_its_language(tmp_path: Path) -> None:
    """The header of a PO file is compared with the language of msgstr; a template states none."""
    text = 'msgid ""\nmsgstr "Language: {}\\n"\n\nmsgid "porte"\nmsgstr "bunt"\n'
    for tag in ("wo", "wo_SN", "wol", "", "LANGUAGE", "template"):
        assert texts_of(tmp_path, text.format(tag), **PO) == [("porte", "bunt")]
    for tag in ("ha", "fr_FR", "wo@arabic"):
        assert problem_of(tmp_path, text.format(tag), **PO).code == "language-contradicts"


def test_a_memory_names_languages_by_their_codes(tmp_path: Path) -> None:
    """A column with the code of another language is refused, and so is one that no unit has."""
    units = (
        '<tu><tuv xml:lang="fr-FR"><seg>Oui</seg></tuv><tuv lang="wo-SN"><seg>Waaw</seg></tuv></tu>'
    )
    assert texts_of(tmp_path, tmx(units), **TMX) == [("Oui", "Waaw")]
    other = TMX | {"columns": {"fra_Latn": "wo", "wol_Latn": "fr"}}
    with pytest.raises(DataError) as caught:
        read(tmp_path, tmx(units), **other)
    assert caught.value.codes == ("language-contradicts",) * 2
    lacking = tmx(units.replace("wo-SN", "ha"))
    assert problem_of(tmp_path, lacking, **TMX).facts["column"] == "wo"
    two = units.replace("<tuv lang", '<tuv xml:lang="fr-CA"><seg>Ouais</seg></tuv><tuv lang')
    assert problem_of(tmp_path, tmx(two), **TMX).facts["codes"] == ("fr-fr", "fr-ca")


def test_what_a_file_states_is_shown(tmp_path: Path) -> None:
    """Tags of no known language are pointed out, with the card's language."""
    data = xliff(unit("Merci", "Jërëjëf"), tags='source-language="fr" target-language="xx-own"')
    card = make_card(tmp_path, "c", data, **XLIFF)
    [file] = resolve_files(card, inputs={})
    facts = {str(what): str(value) for what, value in xliff_understood(file, corpus=card.corpus)}
    assert facts == {
        "language of source": "fr",
        "language of target": "'xx-own', no known language; by the card Wolof (wol_Latn)",
    }
    assert texts_of(tmp_path, data, **XLIFF) == [("Merci", "Jërëjëf")]


STATES = [
    ('state="translated"', None),
    ('state="final" state-qualifier="leveraged-mt"', None),
    ('state="signed-off"', None),
    ('state="x-own"', None),
    ('state="new"', "untranslated-state"),
    ('state="needs-translation"', "untranslated-state"),
    ('state="needs-adaptation"', "untranslated-state"),
    ('state="needs-l10n"', "untranslated-state"),
    ('state="needs-review-translation"', "unreviewed"),
    ('state="needs-review-translation" state-qualifier="leveraged-mt"', "machine-translated"),
    ('state="translated" state-qualifier="mt-suggestion"', "machine-translated"),
    ('state-qualifier="fuzzy-match"', "unreviewed"),
    ('state-qualifier="exact-match"', None),
]


@pytest.mark.parametrize(("state", "reason"), STATES)
def test_states_of_translations_are_read(tmp_path: Path, state: str, reason: str | None) -> None:
    """Untranslated, unsure and machine-made texts are counted and not learned."""
    data = xliff(unit("Merci", "Jërëjëf", state), unit("Oui", "Waaw"))
    assert rejections(tmp_path, data, **XLIFF) == ([(reason, "Merci\nJërëjëf")] if reason else [])
    assert len(texts_of(tmp_path, data, **XLIFF)) == (1 if reason else 2)


def test_a_card_admits_what_its_owners_trust(tmp_path: Path) -> None:
    """`admit` takes unreviewed or machine translations in, and nothing else."""
    data = xliff(*(unit("Merci", "Jërëjëf", state) for state, _ in STATES))
    kept = {
        words: len(texts_of(tmp_path, data, **XLIFF, admit=words.split()))
        for words in ("", "unreviewed", "machine", "unreviewed machine")
    }
    assert kept == {"": 5, "unreviewed": 7, "machine": 7, "unreviewed machine": 9}
    fuzzy = '#, fuzzy\nmsgid "clé"\nmsgstr "caabi"\n'
    assert texts_of(tmp_path, fuzzy, **PO, admit=["unreviewed"]) == [("clé", "caabi")]


def test_states_of_the_other_kinds_of_xliff(tmp_path: Path) -> None:
    """2.x has states of its own, Trados writes them apart, and units may be locked."""
    two = xliff_2(
        "<unit id='1'>"
        + sides("un", "benn", "state='initial'")
        + sides("deux", "ñaar", "state='translated' subState='my:mt'")
        + sides("trois", "ñett", "state='reviewed'")
        + "</unit><unit id='2' translate='no'>"
        + sides("quatre", "ñeent")
        + "</unit>"
    )
    reasons = ["untranslated-state", "machine-translated", "not-for-translation"]
    assert [reason for reason, _ in rejections(tmp_path, two, **XLIFF)] == reasons
    assert texts_of(tmp_path, two, **XLIFF) == [("trois", "ñett")]
    trados = (
        "<trans-unit id='1'><source>Un. Deux.</source><seg-source><mrk mtype='seg' mid='1'>Un."
        "</mrk> <mrk mtype='seg' mid='2'>Deux.</mrk></seg-source><target><mrk mtype='seg' mid='1'>"
        "Benn.</mrk> <mrk mtype='seg' mid='2'>Ñaar.</mrk></target><sdl:seg-defs "
        "xmlns:sdl='http://sdl.com/FileTypes/SdlXliff/1.0'><sdl:seg id='1' conf='Translated'/>"
        "<sdl:seg id='2' conf='Draft' origin='mt'/></sdl:seg-defs></trans-unit>"
    )
    assert texts_of(tmp_path, xliff(trados), **XLIFF) == [("Un.", "Benn.")]
    assert rejections(tmp_path, xliff(trados), **XLIFF) == [("machine-translated", "Deux.\nÑaar.")]


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        ('Un<x id="1" ctype="lb"/>deux', "Un\ndeux"),
        ('Bonjour <x id="I" equiv-text="{{name}}"/>, <x id="P" equiv-text="{{n}}"/> fois',
         "Bonjour {{name}}, {{n}} fois"),
        ('Il reste <ph id="1">%d</ph> jours', "Il reste %d jours"),
        ('Il reste <x id="3"/> jours', "Il reste {3} jours"),
        ('un <bpt id="1">&lt;b&gt;</bpt>mot<ept id="1">&lt;/b&gt;</ept> gras', "un mot gras"),
        ('un <x id="1" ctype="image"/> mot', "un mot"),
        ('un <ph id="1">&lt;img/&gt;</ph> mot', "un mot"),
        ('un <g id="1" ctype="bold">mot <g id="2">gras</g></g>', "un mot gras"),
        ('<mrk mtype="protected">Wi-Fi</mrk> ouvert', "Wi-Fi ouvert"),
        ('<x id="START_TAG_SPAN"/>mot<x id="CLOSE_TAG_SPAN"/>', "mot"),
        ("\n        Un mot\n        long\n      ", "Un mot long"),
        ("Un mot\nlong", "Un mot\nlong"),
    ],
)  # fmt: skip
def test_codes_inside_a_text(tmp_path: Path, inside: str, text: str) -> None:
    """Formatting goes, words and placeholders stay, and no two spaces are left."""
    [(source, _)] = texts_of(tmp_path, xliff(unit(inside, "x")), **XLIFF)
    assert source == text


def test_codes_of_version_2(tmp_path: Path) -> None:
    """Placeholders stand in the data of the unit, or in what is to be shown."""
    data = xliff_2(
        '<unit id="1"><originalData><data id="d1">{0}</data><data id="d2">&lt;b&gt;</data>'
        '</originalData><segment><source><pc id="1" dataRefStart="d2">Un</pc> <ph id="2" '
        'dataRef="d1"/><ph id="3" subType="xlf:lb"/>mot <ph id="4" disp="{{n}}" equiv="PH"/>'
        "</source><target>x</target></segment><ignorable><source> </source></ignorable></unit>"
    )
    assert texts_of(tmp_path, data, **XLIFF) == [("Un {0}\nmot {{n}}", "x")]
    assert rejections(tmp_path, data, **XLIFF) == []


def test_texts_inside_codes_are_texts(tmp_path: Path) -> None:
    """`sub` is paired if both sides have as many, and counted if not."""
    with_sub = '<ph x="1">&lt;a title="<sub>{}</sub>"&gt;</ph>{}'
    tuv = '<tuv xml:lang="{}"><seg>{}</seg></tuv>'
    both = tuv.format("fr", with_sub.format("Titre", "Un")) + tuv.format(
        "wo", with_sub.format("Tur", "Benn")
    )
    assert texts_of(tmp_path, tmx(f"<tu>{both}</tu>"), **TMX) == [("Un", "Benn"), ("Titre", "Tur")]
    one = tuv.format("fr", with_sub.format("Titre", "Un")) + tuv.format("wo", "Benn")
    assert texts_of(tmp_path, tmx(f"<tu>{one}</tu>"), **TMX) == [("Un", "Benn")]
    assert rejections(tmp_path, tmx(f"<tu>{one}</tu>"), **TMX) == [("unpaired-text", "Titre")]


def test_variants_of_a_memory_are_counted(tmp_path: Path) -> None:
    """The first text of a language is read; others, and those of machines, have a reason."""
    units = (
        '<tu><tuv xml:lang="fr"><seg>Oui</seg></tuv><tuv xml:lang="wo"><seg>Waaw</seg></tuv>'
        '<tuv xml:lang="wo"><seg>Waawaaw</seg></tuv><tuv><seg>?</seg></tuv>'
        '<tuv xml:lang="ha"><seg>I</seg></tuv></tu>'
        '<tu><prop type="x-origin">MT</prop><tuv xml:lang="fr"><seg>Non</seg></tuv>'
        '<tuv xml:lang="wo"><seg>Déedéet</seg></tuv></tu>'
        '<tu creationid="Google Translate"><tuv xml:lang="fr"><seg>Un</seg></tuv>'
        '<tuv xml:lang="wo"><seg>Benn</seg></tuv></tu>'
    )
    assert texts_of(tmp_path, tmx(units), **TMX) == [("Oui", "Waaw")]
    assert rejections(tmp_path, tmx(units), **TMX) == [
        ("another-variant", "Waawaaw"),
        ("no-language", "?"),
        ("machine-translated", "Non\nDéedéet"),
        ("machine-translated", "Un\nBenn"),
    ]


ONE, MANY = "%d day", "%d days"
FORMS = {
    # rule -> the source of each form
    "nplurals=1; plural=0;": [MANY],
    "nplurals=2; plural=(n != 1);": [ONE, MANY],
    "nplurals=2; plural=(n > 1);": [ONE, MANY],
    "nplurals=2; plural=(n == 1) ? 1 : 0;": [MANY, ONE],
    "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) "
    "? 1 : 2);": [ONE, MANY, MANY],
    "nplurals=4; plural=(n==1 ? 0 : n==0 || (n%100>1 && n%100<11) ? 1 : (n%100>10 && n%100<20) "
    "? 2 : 3);": [ONE, MANY, MANY, MANY],
    "nplurals=5; plural=n==1 ? 0 : n==2 ? 1 : n<7 ? 2 : n<11 ? 3 : 4;": [ONE] + [MANY] * 4,
    "nplurals=6; plural=n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 "
    "? 4 : 5;": [MANY, ONE, MANY, MANY, MANY, MANY],
    "no rule": [ONE, MANY],
}  # fmt: skip


@pytest.mark.parametrize(("rule", "sources"), FORMS.items())
def test_plural_forms_of_every_kind(tmp_path: Path, rule: str, sources: list[str]) -> None:
    """The form that the rule gives for one translates the singular, all others the plural."""
    forms = "".join(f'msgstr[{n}] "%d form {n}"\n' for n in range(len(sources)))
    text = (
        f'msgid ""\nmsgstr ""\n"Plural-Forms: {rule}\\n"\n\n'
        f'msgid "{ONE}"\nmsgid_plural "{MANY}"\n{forms}'
    )
    assert texts_of(tmp_path, text, **PO) == [
        (source, f"%d form {n}") for n, source in enumerate(sources)
    ]


def test_a_form_for_one_and_more_has_the_placeholders_of_its_source(tmp_path: Path) -> None:
    """`One day` and `%d jour` are no pair: French counts 0 and 1 with one form."""
    text = (
        'msgid ""\nmsgstr "Plural-Forms: nplurals=2; plural=n>1;\\n"\n\n'
        'msgid "One day"\nmsgid_plural "%d days"\nmsgstr[0] "%d jour"\nmsgstr[1] "%d jours"\n'
    )
    corpus = PO | {"languages": ["eng_Latn", "fra_Latn"], "columns": {
        "eng_Latn": "msgid", "fra_Latn": "msgstr",
    }}  # fmt: skip
    assert texts_of(tmp_path, text, **corpus) == [("%d days", "%d jour"), ("%d days", "%d jours")]


@pytest.mark.parametrize(
    "rule",
    [
        *(
            "",
            "nplurals=2; plural=__import__('os')",
            "nplurals=2; plural=n/0;",
            "nplurals=2; plural=(",
        ),
        *("nplurals=2; plural=" + "(" * 300, "nplurals=2; plural=n n", "nplurals=2; plural=n?1"),
    ],
)
def test_a_rule_that_is_none(rule: str) -> None:
    """A header is a stranger's: its rule is parsed and never run."""
    assert plural_rule(rule) is None


def test_catalogues_in_other_encodings(tmp_path: Path) -> None:
    """The header's charset is honoured, and contradicted by bytes that are UTF-8."""
    text = 'msgid ""\nmsgstr "Content-Type: text/plain; charset={}\\n"\n\nmsgid "é"\nmsgstr "ë"\n'
    for charset in ("ISO-8859-1", "iso8859-15", "windows-1252", "CP1252", "UTF-8", "CHARSET"):
        codec = "utf-8" if charset in ("UTF-8", "CHARSET") else charset
        assert texts_of(tmp_path, text.format(charset).encode(codec), **PO) == [("é", "ë")]
    problem = problem_of(tmp_path, text.format("ISO-8859-1").encode(), **PO)
    assert (problem.code, problem.facts["charset"]) == ("charset-of-header", "ISO-8859-1")
    wrong = text.format("utf-7").encode("latin-1")
    assert problem_of(tmp_path, wrong, **PO).code == "wrong-encoding"


def test_escapes_contexts_and_damaged_entries(tmp_path: Path) -> None:
    """Escapes become letters, a context is no text, a damaged entry is counted with its line."""
    good = "".join(f'msgid "a{n}"\nmsgstr "b{n}"\n\n' for n in range(40))
    text = (
        'msgctxt "menu"\n#| msgid "old"\nmsgid "a\\"b\\\\n\\n"\n"\\tc"\nmsgstr ""\n'
        '"d\\x41\\101"\n\n' + good + 'msgid "torn\nmsgstr "x"\n'
    )
    found = texts_of(tmp_path, text, **PO)
    assert (found[0], len(found)) == (('a"b\\n\n\tc', "dAA"), 41)
    assert rejections(tmp_path, text, **PO) == [("malformed", 'msgid "torn\nmsgstr "x"')]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("%s of %d", "%2$d ci %1$s"),
        ("%(n)s days", "%(n)d fan"),
        ("{0} and {1}", "{1} ak {0}"),
        ("Hi {{ name }}", "Salaam {{name}}"),
        ("50% of it", "%50 ci"),
        ("100% sure", "100 % wóor"),
        ("{n, plural, one {# day} other {# days}}", "{n, plural, other {# fan}}"),
        ("%n file(s)", "%n dencukaay"),
        ("a 20 %discount", "wàññi"),
        ("a multiple of $\\text{pi}$", "$\\text[pi]$"),
    ],
)
def test_placeholders_that_agree(source: str, target: str) -> None:
    """Order, positions and spaces are free, and a percentage is no placeholder."""
    assert not placeholders_differ(source, target)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("%s files", "dencukaay"),
        ("files", "%s dencukaay"),
        ("%s of %s", "%s"),
        ("{name}", "{tur}"),
        ("${user}", "user"),
        ("Hi %@", "Salaam"),
        ("%1 of %2", "%1"),
        ("{n, plural, one {# day} other {# days}}", "# fan"),
        ("$NAME$ said", "wax na"),
    ],
)
def test_placeholders_that_differ(source: str, target: str) -> None:
    """A placeholder that one side lacks is found, of every framework."""
    assert placeholders_differ(source, target)


def test_other_units_of_a_pair_are_whole(tmp_path: Path) -> None:
    """A unit of 1.2 in other segments than its translation stays one text; alt-trans is none."""
    text = (
        "<trans-unit id='1'><source>Un. Deux.</source><seg-source><mrk mtype='seg' mid='1'>Un."
        "</mrk> <mrk mtype='seg' mid='2'>Deux.</mrk></seg-source><target>Benn. Ñaar.</target>"
        "<note>a note</note><alt-trans><source>Un</source><target>Bi</target></alt-trans>"
        "</trans-unit><group><group><group><trans-unit id='2'><source>Trois</source></trans-unit>"
        "</group></group></group>"
    )
    assert texts_of(tmp_path, xliff(text), **XLIFF) == [
        ("Un. Deux.", "Benn. Ñaar."),
        ("Trois", None),
    ]


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('\n\t"\\'))
ENTRIES = st.lists(st.tuples(WORDS.filter(bool), WORDS, st.booleans()), min_size=1, max_size=6)


@given(ENTRIES, st.integers(20, 90), st.booleans())
@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_catalogues_of_other_programs_are_read_as_written(
    tmp_path: Path, entries: list[tuple[str, str, bool]], width: int, by_babel: bool
) -> None:
    """Whatever the texts, escapes and wrapping of polib and Babel give them back."""
    entries = list({source: (source, *rest) for source, *rest in entries}.values())  # type: ignore[misc]
    if by_babel:
        catalogue = Catalog(locale="wo", header_comment="")
        for source, target, fuzzy in entries:
            catalogue.add(source, target, flags=["fuzzy"] if fuzzy else [])
        out = io.BytesIO()
        write_po(out, catalogue, width=width)
        data = out.getvalue()
    else:
        file = polib.POFile(wrapwidth=width)
        file.metadata = {"Language": "wo", "Content-Type": "text/plain; charset=UTF-8"}
        for source, target, fuzzy in entries:
            file.append(
                polib.POEntry(msgid=source, msgstr=target, flags=["fuzzy"] if fuzzy else [])
            )
        data = str(file).encode()
    corpus = PO | {"admit": ["unreviewed"]}
    found = sorted(texts_of(tmp_path, data, **corpus))
    assert found == sorted((source, target) for source, target, _ in entries)
    fuzzies = sum(fuzzy for _, _, fuzzy in entries)
    assert len(rejections(tmp_path, data, **PO)) == fuzzies


XML_FAULTS = [
    ("<tmx><body>\n<tu></tmy>", 2, "another name"),
    ("<tmx>\n<body>\n<tu>a & b</tu>", 3, "a sign stands"),
    ("", None, "before its elements"),
    ("<?xml version='1.0' encoding='utf-99'?><tmx/>", None, "encoding is not known"),
]


@pytest.mark.parametrize(("content", "line", "said"), XML_FAULTS)
def test_faults_of_xml_are_said_with_their_line_in_our_own_words(
    tmp_path: Path, content: str, line: int | None, said: str
) -> None:
    """A person reads where the file breaks and how, in the language that is asked for."""
    (tmp_path / "f.tmx").write_text(content, encoding="utf-8")
    file = SourceFile(tmp_path / "f.tmx", "f.tmx")
    with pytest.raises(DataError) as caught:
        list(elements(file, "tu", form="tmx"))
    [found] = caught.value.problems
    assert found.code == "damaged-xml"
    assert found.place
    assert line in (None, found.place.line)
    assert said in str(found)
    assert str(found.facts["why"]) not in found.in_language("fr")


@pytest.mark.parametrize(
    ("charset", "said"), [("iso-8859-99", "no such encoding"), ("ascii", "line 5 is in another")]
)
def test_a_wrong_charset_of_a_catalogue_is_said_in_our_own_words(
    tmp_path: Path, charset: str, said: str
) -> None:
    head = f'msgid ""\nmsgstr "Content-Type: text/plain; charset={charset}\\n"\n\n'
    content = head.encode() + b'msgid "a"\nmsgstr "\xe9"\n'
    found = problem_of(tmp_path, content, **PO)
    assert found.code == "charset-of-header"
    assert said in str(found)
