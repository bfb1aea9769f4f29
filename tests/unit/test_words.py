"""The project's vocabulary: banned phrases, noun phrases in module docstrings, readable pages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.every import assert_every
from tests.support.syntax import tree_of

ROOT = Path(__file__).resolve().parents[2]

UNITS = (
    "bytes?|tokens?|words?|characters?|letters?|lines?|rows?|files?|jobs?|steps?|seconds?|ms|MB|GiB"
    "|MiB|processes|documents?|sentences?|sequences?|items|pairs|cards|times|twice|once"
)
PER = (
    "token|word|second|minute|hour|step|row|document|text|line|job|node|rank|language|micro-batch"
    "|sentence|item|pair|file|GPU|month|core|n-gram|batch|process|day|card|phase|stage|folder|chain"
    "|task|week|year|sequence|run|column"
)
BANNED = {
    rf"\b(?:{UNITS})\s+an?\s+(?:{PER})\b": "per, as in 'bytes per token'",
    r"\b(?:is|are|was|were|be|being)\s+learned\b": "supervised, trained",
    r"\b(?:are|be|is|was|were)\s+told\s+(?:right|apart)\b|\btells\s+right\b": "accuracy, separated",
    r"\btold\b": "stated, given, passed",
    r"\b[Ww]ho(?:m)?ever\b": "a person who, the user, the process that",
    r"\b(?:[Nn]obody|[Ss]omebody|[Ee]verybody)\b": "name who",
    r"\bby\s+itself\b": "automatically, separately",
    r"\btrainings\b": "training runs",
    r"\b(?:a|another|one|each|every|longer|shorter|whole)\s+training\b(?=[,.;:)`]|\s(?:that|which|is"
    r"|was|has|goes|on|of|in|and|or|with|from|asks|begins|ends|would|may|can|needs|starts)\b)": (
        "training run"
    ),
    r"\b(?:left|leaves?|leaving)\s+out\b": "rejected, removed, omitted",
    r"\bdone\s+before\b": "cached",
    r"\bwould\s+go\s+up\b|\bgoes\s+up\b": "uploaded",
    r"\b[Ww]hat\s+(?:became|becomes)\s+of\b": "state, result",
    r"\b(?:learned|learns)\s+by\s+heart\b|\bmakes\s+every\s+score\b": "memorised, invalidates",
    r"\b(?:taken|takes?|taking)\s+back\b": "withdrawn, withdraw",
    r"\bin\s+vain\b": "say what blocks",
    r"\brow(?:s|\(s\))\s+at\s+once\b": "micro-batch",
    r"\bcuts?\s+(?:\w+\s+){0,3}(?:into|otherwise)\b|\bspell(?:s|ed)?\s+(?:in\s+)?"
    r"(?:pieces|bytes|a\s+language|whole)\b": "tokenize, split",
    r"\bstretched\s+so\b|\bno\s+difference\s+(?:shown|that\s+could)\b": "not significant",
    r"\bgo(?:es)?\s+on\s+(?:from|with|where)\b|\bcontinuing\s+after\b": "resume",
    r"\b(?:is|are|was|were)\s+passed\s+over\b": "skipped",
    r"\b[Tt]alk(?:s)?\s+to\s+(?:it|base)\b": "chat",
    r"\bheld[- ]out\s+lines\b": "held-out accuracy",
    r"\bleft\s+no\s+word\b": "no exit record",
    r"\brows?\s+of\s+\d+\s+tokens\b": "packed sequences",
    r"\bis\s+never\s+done\s+again\b": "cached",
    r"\bfor\s+ever\b": "endlessly; name the limit",
    r"\b(?:recipe|card|configuration|report|message|table|column|licence|list|index)\s+says\b": (
        "states, shows, names"
    ),
    r"\b(?:too\s+few\s+items\s+to\s+tell|against\s+adapter)\b": "too few items to test, vs.",
}
"""Phrase (a regular expression) -> what stands in its place."""
REPLACED = (
    *("Un titre pour les gens", "Quelle langue est-ce", "autant que ces personnes ont accepté"),
    *("Entrée : pas décidé", "La fiche dit que", "La ligne `language` dit", "à regarder"),
    *("Personne n'est indiqué", "Rien ne dit qui", "engage qui utilise", "Qui utilise la fiche"),
    *("aucun programme d'ici", "Retirez-les-en", "l'alphabet du modèle convient"),
    *("presque semblables", "mis de côté pour l'examen", "texte de l'examen"),
    *("Rangé pour l'entraînement", "Qui parle la langue voit", "les fichiers mêmes"),
    *("en est tiré", "un mot parmi", "what the texts are in", "letters without a token"),
    *("pieces of characters", "characters in pieces", "kept apart for the test", "put it online"),
    *("to watch the learning", "talk to it", "did you mean 'zlib'"),
)
"""Sentences of messages and reports that have better ones now, in French and English."""
GUIDES = ("docs/data/data-cards.md", "docs/data/data-cards.fr.md", "README.fr.md")
"""Plain pages for owners of texts, who take texts back."""
ALLOWED = {
    **{path: r"\b(?:taken|takes?|taking)\s+back\b" for path in GUIDES},
    "finetune/release/leaks.py": "nobody",  # a user name of Unix
    "finetune/verbs/cluster/attempt.py": "told",  # an option of older scripts
    "tests/support/hostile_text.py": "somebody",  # part of a mention
    "tests/support/mutated_specs.py": "nobody",  # part of a path
    "tests/unit/test_words.py": r"[\s\S]*",
}
"""File -> what it may hold nevertheless."""
FOLDERS = (
    *("docs", "README.md", "README.fr.md", "CONTRIBUTING.md", "SECURITY.md", "recipes", "slurm"),
    *("benchmarks", "finetune", "tests", "Makefile", "pyproject.toml"),
)
"""Files that are searched. CHANGELOG.md keeps old release notes, data cards quote their sources."""
KINDS = {".py", ".md", ".j2", ".yaml", ".toml", ".sh", ".json", ""}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
RELATIVE = re.compile(r"(?:What|How|Where|Whether|Who|Which|When|Why|That)\b")


def texts() -> list[Path]:
    """Return the files in which the words hold."""
    found = [ROOT / name for name in FOLDERS]
    files = [path for top in found for path in ([top] if top.is_file() else top.rglob("*"))]
    files = [path for path in files if not path.is_symlink()]  # searched where they lie
    return sorted(path for path in files if path.suffix in KINDS and path.is_file())


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_no_file_holds_a_banned_phrase() -> None:
    """No file says in words of its own what the field has a word for."""

    any_of_them = re.compile("|".join(f"(?:{phrase})" for phrase in BANNED))

    def is_clean(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        if not any_of_them.search(text):
            return
        allowed = re.compile(ALLOWED.get(name_of(path), r"(?!)"))
        hits = [
            f"line {text.count(chr(10), 0, match.start()) + 1}: {match[0]!r} -> {word}"
            for phrase, word in BANNED.items()
            for match in re.finditer(phrase, text)
            if not allowed.fullmatch(match[0])
        ]
        assert not hits, "; ".join(hits)

    assert_every(texts(), is_clean, name=name_of)


def test_replaced_sentences_stay_away() -> None:
    """No message, report or translation of the package has a sentence that was replaced."""

    def is_clean(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert not (found := [phrase for phrase in REPLACED if phrase in text]), found

    files = [p for p in (ROOT / "finetune").rglob("*") if p.suffix in {".py", ".j2", ".po"}]
    assert_every(files, is_clean, name=name_of)


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Yield the docstrings of a module, its functions, classes and attributes."""
    for node in ast.walk(tree):
        body: list[ast.stmt] = getattr(node, "body", []) if isinstance(node, DOCUMENTED) else []
        for before, part in zip([None, *body], body, strict=False):
            documented = before is None or isinstance(before, ast.Assign | ast.AnnAssign)
            if documented and isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant):
                yield str(part.value.value)


def test_docstrings_are_no_relative_clauses() -> None:
    """No docstring begins with a relative clause; the package's modules have one."""

    def is_a_title(path: Path) -> None:
        tree = tree_of(path)
        if path.is_relative_to(ROOT / "finetune") and path.name != "__init__.py":
            assert ast.get_docstring(tree)
        assert not [text for text in docstrings(tree) if RELATIVE.match(text)]

    assert_every([path for path in texts() if path.suffix == ".py"], is_a_title, name=name_of)


def test_headings_are_no_relative_clauses() -> None:
    """No heading of a page begins with a relative clause or a question word."""

    def has_titles(path: Path) -> None:
        headings = re.findall(r"^#+ (.+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert not [heading for heading in headings if RELATIVE.match(heading)]

    pages = [path for path in texts() if path.suffix == ".md" and "data_cards" not in path.parts]
    assert_every(pages, has_titles, name=name_of)


def test_pages_say_never_once_at_most() -> None:
    """A page of the documentation has at most one 'never' outside of its tables."""

    def is_calm(path: Path) -> None:
        prose = re.sub(r"^\|.*$|^```.*?^```", "", path.read_text("utf-8"), flags=re.M | re.DOTALL)
        assert len(re.findall(r"\bnever\b", prose, re.IGNORECASE)) <= 1

    pages = [path for path in texts() if path.suffix == ".md" and path.name != "status.md"]
    assert_every(pages, is_calm, name=name_of)


def test_tables_fit_a_terminal() -> None:
    """No row of a table in a page is longer than 120 characters."""

    def fits(path: Path) -> None:
        text = re.sub(r"<!-- formats.*?<!-- end -->", "", path.read_text("utf-8"), flags=re.DOTALL)
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert not [row for row in rows if len(row) > 120]

    pages = [path for path in texts() if path.suffix == ".md"]
    assert_every(pages, fits, name=name_of)
