"""Translators' files: memories, XLIFF of both versions, catalogues, aligned files, messages."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from tests.support.brought_files import PAIR, PO, TMX, XLIFF
from tests.support.made import Made, Texts

PATHS = PAIR | {"columns": {"fra_Latn": "fr", "wol_Latn": "wo"}}
Pair = tuple[str, str]


def _record(source: str | None, target: str | None) -> dict[str, Any]:
    return {"fra_Latn": source, "wol_Latn": target}


def _coded(text: str, texts: Texts, tags: tuple[str, ...]) -> str:
    """Return the text of an element, with codes around some of its words."""
    words = [escape(word) for word in text.split(" ")]
    at = texts.rng.randrange(len(words))
    words[at] = texts.rng.choice(tags).format(words[at])
    return " ".join(words)


TMX_CODES = (
    "{}",
    "<hi>{}</hi>",
    '<bpt i="1">&lt;b&gt;</bpt>{}<ept i="1">&lt;/b&gt;</ept>',
    '<it pos="begin">{{\\b</it>{}',
    "<hi><hi>{}</hi></hi>",
    '<ph x="1">&lt;img src="a"/&gt;</ph> {}',
)
XLIFF_CODES = (
    "{}",
    '<g id="1">{}</g>',
    '<bx id="1"/>{}<ex id="1"/>',
    '<x id="2" ctype="image"/> {}',
    '<bpt id="1">&lt;b&gt;</bpt>{}<ept id="1">&lt;/b&gt;</ept>',
    '<mrk mtype="term">{}</mrk>',
)
XLIFF_2_CODES = (
    "{}",
    '<pc id="1">{}</pc>',
    '<sc id="1"/>{}<ec startRef="1"/>',
    '<mrk id="m" type="term">{}</mrk>',
)


def memory(seed: int) -> Made:
    """Return a translation memory: variants, machines, other languages, texts inside codes."""
    texts, made, units = Texts(seed), Made(TMX), []
    rng = texts.rng
    for _ in range(rng.randint(3, 9)):
        source, target, kind = texts.next(), texts.next(), rng.randrange(7)
        lang = rng.choice(["xml:lang", "lang"])
        variants = [
            f'<tuv {lang}="{rng.choice(["fr", "fr-FR", "FR"])}"><seg>'
            f"{_coded(source, texts, TMX_CODES)}</seg></tuv>",
            f'<tuv {lang}="{rng.choice(["wo", "wo-SN"])}"><seg>'
            f"{_coded(target, texts, TMX_CODES)}</seg></tuv>",
        ]
        head = rng.choice(["", "<note>a note</note>", '<prop type="x-client">c</prop>'])
        if kind == 1:
            head = rng.choice(['<prop type="x-origin">MT</prop>', '<prop type="origin">mt</prop>'])
            made.left.append(("machine-translated", f"{source}\n{target}"))
        elif kind == 2:
            made.left.append(("another-variant", other := texts.next()))
            variants.append(f'<tuv lang="wo"><seg>{other}</seg></tuv>')
            variants[1] = variants[1].replace("wo-SN", "wo")
        elif kind == 3:
            made.left.append(("no-language", other := texts.next()))
            variants.append(f"<tuv><seg>{other}</seg></tuv>")
        elif kind == 4:
            inner = texts.next(), texts.next()
            made.records.append(_record(*inner))
            for at, text in enumerate(inner):
                code = f'<ph x="9">&lt;a title="<sub>{text}</sub>"&gt;</ph></seg>'
                variants[at] = variants[at].replace("</seg>", code)
        elif kind == 5:
            variants.append('<tuv lang="ha"><seg>wani abu</seg></tuv>')
        rng.shuffle(variants) if kind in (0, 5) else None
        if kind != 1:
            made.records.append(_record(source, target))
        units.append(f"<tu>{head}{''.join(variants)}</tu>")
    body = "\n".join(units)
    made.data = (
        '<?xml version="1.0"?><!DOCTYPE tmx SYSTEM "tmx14.dtd"><tmx version="1.4">'
        f'<header srclang="*all*"/><body>{body}</body></tmx>'
    ).encode()
    return made


STATES = [
    ("", ""),
    (' state="translated"', ""),
    (' state="final" state-qualifier="leveraged-mt"', ""),
    (' state="new"', "untranslated-state"),
    (' state="needs-l10n"', "untranslated-state"),
    (' state="needs-review-translation"', "unreviewed"),
    (' state-qualifier="mt-suggestion"', "machine-translated"),
]


def xliff_1(seed: int) -> Made:
    """Return XLIFF 1.2: states, groups, segments, locked units, suggestions."""
    texts, made, units = Texts(seed), Made(XLIFF), []
    rng = texts.rng
    for number in range(rng.randint(3, 9)):
        state, reason = rng.choice(STATES)
        pairs = [(texts.next(), texts.next()) for _ in range(rng.choice((1, 1, 1, 3)))]
        locked = rng.random() < 0.1
        lock = "translate='no'" if locked else ""
        reason = "not-for-translation" if locked else reason
        for source, target in pairs:
            if reason:
                made.left.append((reason, f"{source}\n{target}"))
            else:
                made.records.append(_record(source, target))
        sides = ["", ""]
        for at in (0, 1):
            coded = [_coded(pair[at], texts, XLIFF_CODES) for pair in pairs]
            sides[at] = coded[0]
            if len(pairs) > 1:
                marks = (f'<mrk mtype="seg" mid="{n}">{text}</mrk>' for n, text in enumerate(coded))
                sides[at] = " ".join(marks)
        source = f"<source>{sides[0]}</source>"
        if len(pairs) > 1:
            source = f"<source>whole</source><seg-source>{sides[0]}</seg-source>"
        aside = rng.choice(
            ["", "<note>a note</note>", "<alt-trans><target>other</target></alt-trans>"]
        )
        unit = (
            f"<trans-unit id='{number}' {lock}>"
            f"\n  {source}\n  <target{state}>{sides[1]}</target>{aside}</trans-unit>"
        )
        units.append(f"<group>{unit}</group>" if rng.random() < 0.3 else unit)
    made.data = (
        '<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2"><file original="a" '
        f'source-language="fr" target-language="wo"><body>{"".join(units)}</body></file></xliff>'
    ).encode()
    return made


def xliff_2(seed: int) -> Made:
    """Return XLIFF 2: segments with states, text between segments, data of codes."""
    texts, made, units = Texts(seed), Made(XLIFF), []
    rng = texts.rng
    states = [*(("", ""),) * 3, ('state="translated"', ""), ('state="reviewed"', "")]
    states += [('state="initial"', "untranslated-state")]
    states += [('state="translated" subState="x:mt"', "machine-translated")]
    for number in range(rng.randint(2, 6)):
        inside = []
        for _ in range(rng.randint(1, 4)):
            state, reason = rng.choice(states)
            source, target = texts.next(), texts.next()
            if reason:
                made.left.append((reason, f"{source}\n{target}"))
            else:
                made.records.append(_record(source, target))
            inside.append(
                f"<segment {state}><source>{_coded(source, texts, XLIFF_2_CODES)}</source>"
                f"<target>{_coded(target, texts, XLIFF_2_CODES)}</target></segment>"
            )
            if rng.random() < 0.2:
                made.left.append(("unpaired-text", between := texts.next()))
                inside.append(f"<ignorable><source>{between}</source></ignorable>")
            elif rng.random() < 0.3:
                inside.append("<ignorable><source> </source></ignorable>")
        data = '<originalData><data id="d">&lt;b&gt;</data></originalData>'
        notes = rng.choice(["", "<notes><note>a note</note></notes>"])
        units.append(f'<unit id="{number}">{notes}{data}{"".join(inside)}</unit>')
    made.data = (
        '<xliff version="2.1" xmlns="urn:oasis:names:tc:xliff:document:2.0" srcLang="fr-FR" '
        f'trgLang="wo"><file id="f">{"".join(units)}</file></xliff>'
    ).encode()
    return made


def _quoted(text: str, texts: Texts) -> str:
    """Return a text of PO, on one line or several."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    at = escaped.find(" ") + 1  # marks stay whole
    if texts.rng.random() < 0.5:
        return f'"{escaped}"'
    return f'""\n"{escaped[:at]}"\n"{escaped[at:]}"'


def catalogue(seed: int) -> Made:
    """Return a PO file: fuzzy, obsolete, plural and untranslated entries, contexts, comments."""
    texts, made, entries = Texts(seed), Made(PO), []
    rng = texts.rng
    forms = rng.randint(1, 4)
    rule = f"nplurals={forms}; plural=" + ("0" if forms == 1 else f"n==1?0:n%{forms}")
    for number in range(rng.randint(4, 12)):
        source, target, kind = texts.next(), texts.next(), rng.randrange(6)
        comments = rng.choice(["", "# a note\n", "#: a.c:12\n", "#. extracted\n#, c-format\n"])
        context = rng.choice(["", f'msgctxt "menu {number}"\n'])
        if kind == 1:
            made.left.append(("unreviewed", f"{source}\n{target}"))
            comments += '#, fuzzy, c-format\n#| msgid "before"\n'
        elif kind == 2:
            made.left.append(("obsolete", f"{source}\n{target}"))
            entries.append(f'{comments}#~ msgid "{source}"\n#~ msgstr "{target}"\n')
            continue
        elif kind == 3:
            translations = [texts.next() for _ in range(forms)]
            plural = f"ay fan {number}"
            lines = "".join(f'msgstr[{n}] "{text}"\n' for n, text in enumerate(translations))
            entries.append(
                f'{comments}{context}msgid "bis {number}"\nmsgid_plural "{plural}"\n{lines}'
                f'\n#, x\nmsgid "{source}"\nmsgstr "{target}"\n'
            )
            for n, text in enumerate(translations):
                made.records.append(
                    _record(f"bis {number}" if n == 0 and forms > 1 else plural, text)
                )
            made.records.append(_record(source, target))
            continue
        elif kind == 4:
            made.records.append(_record(source, ""))
            entries.append(f'{comments}{context}msgid {_quoted(source, texts)}\nmsgstr ""\n')
            made.left.append(("obsolete", f"old\n{target}"))
            entries.append(f'#~ msgid "old"\n#~ msgstr "{target}"\n')
            continue
        if kind != 1:
            made.records.append(_record(source, target))
        entries.append(
            f"{comments}{context}msgid {_quoted(source, texts)}\nmsgstr {_quoted(target, texts)}\n"
        )
    header = f'msgid ""\nmsgstr ""\n"Language: wo\\n"\n"Plural-Forms: {rule};\\n"\n'
    made.data = "\n".join([header, *entries]).encode()
    return made


def _packed(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def aligned(seed: int) -> Made:
    """Return an archive with two files of lines: blank lines, odd line ends, a mark, numbers."""
    texts, made = Texts(seed), Made(PATHS | {"format": "aligned"})
    rng, sides = texts.rng, ([], [])
    for _ in range(rng.randint(3, 30)):
        pair = [texts.next(), texts.next()]
        kind = rng.randrange(8)
        if kind == 0:
            made.left.append(("blank-line", ""))
            pair = ["", " "]
        elif kind < 3:
            pair[kind - 1] = ""
        elif kind == 3:
            pair[1] += rng.choice(["\u2028", "\x85", "\x0b", "\x1c"]) + "go on"
        if kind:
            made.records.append(_record(*pair))
        for side, text in zip(sides, pair, strict=True):
            side.append(text)
    ends = rng.choice(["\n", "\r\n"]), rng.choice(["\n", "\r\n"])
    data = [end.join([*side, ""]).encode() for side, end in zip(sides, ends, strict=True)]
    files = {"a.fr-wo.fr": b"\xef\xbb\xbf" + data[0], "a.fr-wo.wo": data[1], "README": b"about"}
    made.data = _packed(files | {"a.fr-wo.ids": b"1\t2\n"})
    return made


def messages(seed: int) -> Made:
    """Return an archive with two JSON files: nested keys, lists, missing keys, numbers."""
    texts, made = Texts(seed), Made(PATHS | {"format": "messages"})
    rng = texts.rng
    files: dict[str, dict[str, Any]] = {"fr": {}, "wo": {}}
    for number in range(rng.randint(3, 12)):
        source, target = texts.next(), texts.next()
        kind = rng.randrange(6)
        record = _record(source, target)
        values: list[Any] = [source, target]
        if kind == 1:
            values = [{"a": {"b": source}}, {"a": {"b": target}}]
        elif kind == 2:
            values = [[source], [target]]
        elif kind == 3:
            values, record = [{"message": source, "description": "d"}, None], _record(source, None)
            made.left.append(("no-message-text", "null"))
            made.left.append(("no-message-text", "7"))
            files["wo"][f"n{number}"] = 7
            files["wo"][f"t{number}"] = target
            made.records.append(_record(None, target))
        for of_language, value in zip(files.values(), values, strict=True):
            of_language[f"k{number}"] = value
        made.records.append(record)
    made.data = _packed(
        {
            f"locale/{code}/m.json": json.dumps(
                {code: content} if seed % 2 else content, ensure_ascii=False
            ).encode()
            for code, content in files.items()
        }
    )
    return made


def _clock(ms: int, mark: str) -> str:
    seconds, rest = divmod(ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{rest:03d}"


def subtitles(seed: int) -> Made:
    """Return SRT or WebVTT: speakers, pauses, sentences over cues, sounds, credits, tags."""
    texts, made = Texts(seed), Made({"format": "subtitles"})
    rng, web = texts.rng, seed % 2 == 1
    cues: list[tuple[int, int, list[str]]] = []
    now, said, begun, sung = 0, [], 0, False

    def end_of_text() -> None:
        if said:
            made.records.append({"text": " ".join(said)})
        said.clear()

    for _ in range(rng.randint(6, 25)):
        pause = rng.choice((100, 400, 2500))
        now += pause
        lines: list[str] = []
        if pause > 2000 or now - begun >= 60_000:
            end_of_text()
        for _ in range(rng.randint(1, 2)):
            text, kind = texts.next(), rng.randrange(8)
            if kind == 0:
                made.left.append(("sound", f"[{text}]"))
                lines.append(f"[{text}]")
                continue
            turn = kind == 1
            if turn or sung != (kind == 2):
                end_of_text()
            sung = kind == 2
            begun = begun if said else now
            said.append(text)
            shown = ("- " if turn else "") + rng.choice(["{}", "<i>{}</i>", "{{\\an8}}{}"])
            lines.append(shown.format(text) if kind != 2 else f"♪ {text} ♪")
        if len(lines) == 2 and all(line.startswith("[") for line in lines):
            made.left[-2:] = [("sound", line) for line in lines]
        cues.append((now, now + 1500, lines))
        now += 1500
    end_of_text()
    made.left.append(("credits", credit := f"Subtitles by {texts.next()}"))
    cues.append((now + 9000, now + 9900, [credit]))
    blocks = [
        f"{number}\n{_clock(a, '.' if web else ',')} --> {_clock(b, '.' if web else ',')}\n"
        + "\n".join(lines)
        for number, (a, b, lines) in enumerate(cues, start=1)
    ]
    head = ["WEBVTT - film", "NOTE\na note", "STYLE\n::cue {}"] if web else []
    made.data = "\n\n".join([*head, *blocks, ""]).encode()
    return made
