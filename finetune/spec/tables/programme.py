"""The languages of the two programmes: code, names, cards, and what is missing.

The one table behind `finetune init --programme` and the page docs/data/programmes.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from finetune.messages import Sentence, sentence

ENGLISH, FRENCH = "eng_Latn", "fra_Latn"


@dataclass(frozen=True, slots=True)
class ProgrammeLanguage:
    """A language of a programme, in one script."""

    code: str
    name: str
    """Its name in English, as it stands in tables."""
    package: tuple[str, ...]
    """Names of cards of packages, whose files were opened; the best first."""
    hub: tuple[str, ...]
    """Names of cards with texts that have to be fetched, from the Hub or an address; best first."""
    missing: Sentence
    asked: tuple[str, ...]
    """Public pages of those who have it, or could give it."""
    beside: tuple[str, ...] = ()
    """Names of cards that no recipe takes: licences exclude each other, or no commit is known."""
    own: tuple[str, ...] = ()
    """Names in its own letters that tables of languages lack."""
    best: str = ""
    """Name of the best card, if it is not the first."""

    @property
    def cards(self) -> tuple[str, ...]:
        """Return the names of all cards, the best one first."""
        names = (self.best, *self.package, *self.hub, *self.beside)
        return tuple(dict.fromkeys(name for name in names if name))


@dataclass(frozen=True, slots=True)
class Programme:
    """A set of languages that are worked on together."""

    name: str
    sources: tuple[str, ...]
    """Languages that pairs are translated from, the preferred one first."""
    hub_base: Mapping[str, str]
    """Base of recipes with large corpora."""
    languages: tuple[ProgrammeLanguage, ...]


_BPCC = "https://huggingface.co/datasets/ai4bharat/BPCC"
_SANGRAHA = "https://huggingface.co/datasets/ai4bharat/sangraha"
_LDC_IL = "https://data.ldcil.org/faq"
_LDC_IL_DOGRI = "https://data.ldcil.org/index.php?route=product/search&tag=Dogri"
_ARED = "https://www.dakaractu.com/Education-Journee-portes-ouvertes-a-l-ARED_a243842.html"
_SIL_SENEGAL = "http://silsenegal.org/en/Brief-History"
_SIL_MALI = "http://sil-mali.org/en"
_MANDING = "https://books.openedition.org/obp/4215"

_LARGE_CORPUS = sentence(
    "a large corpus whose files were looked at; BPCC has human translations, but no commit of it "
    "is known to us"
)
_SCRIPT_OF_SENTENCES = sentence(
    "sentences in this script whose files were looked at; in which script the split of Sangraha "
    "is, is not known to us"
)


def _india(
    code: str,
    name: str,
    package: str,
    hub: str,
    *,
    missing: Sentence = _LARGE_CORPUS,
    asked: tuple[str, ...] = (_BPCC, _LDC_IL),
    own: str = "",
    beside: str = "",
) -> ProgrammeLanguage:
    of_package, of_hub, left = (tuple(names.split()) for names in (package, hub, beside))
    return ProgrammeLanguage(
        code, name, of_package, of_hub, missing, asked, beside=left, own=tuple(own.split())
    )


_INDIA = (
    _india("asm_Beng", "Assamese", "cldr-asm", "fineweb2-asm"),
    _india("ben_Beng", "Bengali", "kolibri-ben cldr-ben", "sangraha-ben"),
    _india("brx_Deva", "Bodo", "cldr-brx", "smol-brx fineweb2-brx", own="बोडो बड़ो"),
    _india(
        "dgo_Deva",
        "Dogri",
        "cldr-dgo",
        "fineweb2-dgo",
        missing=sentence(
            "sentences whose files were looked at, and pairs; LDC-IL has a Dogri corpus of 801,771 "
            "words, BPCC has human translations"
        ),
        asked=(_LDC_IL_DOGRI, _BPCC),
    ),
    _india("guj_Gujr", "Gujarati", "kolibri-guj cldr-guj", "sangraha-guj"),
    _india("hin_Deva", "Hindi", "kolibri-hin cldr-hin", "sangraha-hin aya-hin"),
    _india("kan_Knda", "Kannada", "udhr-kan cldr-kan", "sangraha-kan aya-kan"),
    _india(
        "kas_Arab",
        "Kashmiri",
        "cldr-kas-arab",
        "fineweb2-kas-arab",
        missing=_SCRIPT_OF_SENTENCES,
        asked=(_SANGRAHA, _LDC_IL),
        own="کٲشُر",
        beside="bpcc-kas-arab",
    ),
    _india(
        "kas_Deva",
        "Kashmiri",
        "cldr-kas-deva",
        "smol-kas-deva fineweb2-kas-deva",
        missing=_SCRIPT_OF_SENTENCES,
        asked=(_SANGRAHA, _BPCC),
        own="कॉशुर",
    ),
    _india("gom_Deva", "Konkani", "cldr-gom", "fineweb2-gom", own="कोंकणी", beside="bpcc-gom"),
    _india("mai_Deva", "Maithili", "udhr-mai cldr-mai", "fineweb2-mai"),
    _india("mal_Mlym", "Malayalam", "udhr-mal cldr-mal", "sangraha-mal aya-mal"),
    _india(
        "mni_Beng",
        "Meitei",
        "cldr-mni",
        "fineweb2-mni-beng",
        missing=_SCRIPT_OF_SENTENCES,
        asked=(_SANGRAHA, _LDC_IL),
        own="মৈতৈলোন্ মণিপুরী",
    ),
    _india(
        "mni_Mtei",
        "Meitei",
        "",
        "smol-mni-mtei fineweb2-mni-mtei",
        missing=sentence(
            "any text in a package, and more than 169 documents of FineWeb-2 and the sentences of "
            "SmolSent; BPCC has human translations"
        ),
        asked=(_BPCC,),
        own="ꯃꯤꯇꯩꯂꯣꯟ ꯃꯩꯇꯩꯂꯣꯟ",
    ),
    _india("mar_Deva", "Marathi", "kolibri-mar cldr-mar", "sangraha-mar"),
    _india("npi_Deva", "Nepali", "udhr-npi cldr-npi", "sangraha-npi"),
    _india("ory_Orya", "Odia", "cldr-ory", "fineweb2-ory", own="ଓଡ଼ିଆ"),
    _india("pan_Guru", "Punjabi", "kolibri-pan cldr-pan", "sangraha-pan", own="ਪੰਜਾਬੀ"),
    _india("san_Deva", "Sanskrit", "udhr-san cldr-san", "smol-san fineweb2-san", own="संस्कृतम् संस्कृत"),
    _india("sat_Olck", "Santali", "cldr-sat", "smol-sat fineweb2-sat", beside="bpcc-sat"),
    _india(
        "snd_Arab",
        "Sindhi",
        "cldr-snd-arab",
        "fineweb2-snd-arab",
        missing=_SCRIPT_OF_SENTENCES,
        asked=(_SANGRAHA, _LDC_IL),
        own="سنڌي",
    ),
    _india(
        "snd_Deva",
        "Sindhi",
        "cldr-snd-deva",
        "fineweb2-snd-deva",
        missing=_SCRIPT_OF_SENTENCES,
        asked=(_SANGRAHA, _BPCC),
        own="सिन्धी सिंधी",
    ),
    _india("tam_Taml", "Tamil", "udhr-tam cldr-tam", "sangraha-tam aya-tam"),
    _india("tel_Telu", "Telugu", "kolibri-tel udhr-tel cldr-tel", "sangraha-tel aya-tel"),
    _india("urd_Arab", "Urdu", "kolibri-urd cldr-urd", "sangraha-urd"),
)

_SENEGAL = (
    ProgrammeLanguage(
        "fra_Latn",
        "French",
        ("udhr-fra", "cldr-fra"),
        ("tico19-fra", "wikipedia-fra", "aya-fra"),
        sentence("texts of daily life in Senegal; TICO-19 has health sentences, kept for tests"),
        ("https://tico-19.github.io",),
    ),
    ProgrammeLanguage(
        "wol_Latn",
        "Wolof",
        ("udhr-wol", "cldr-wol"),
        ("mafand-wol", "smol-wol", "tico19-wol", "fineweb2-wol", "aya-wol", "afriqa-wol"),
        sentence(
            "a large parallel corpus that may be used commercially: the page of GalsenAI's French "
            "and Wolof pairs states no licence"
        ),
        ("https://huggingface.co/datasets/galsenai/french-wolof-translation", _ARED),
        beside=("wikipedia-wol",),
        best="mafand-wol",
    ),
    ProgrammeLanguage(
        "fuc_Latn",
        "Pulaar",
        ("cldr-fuc",),
        ("arprim-terms-fuc",),
        sentence(
            "running text with an established licence; ARPRIM has sentences and terms with French, "
            "ARED publishes books"
        ),
        ("https://huggingface.co/ARPRIM", _ARED),
    ),
    ProgrammeLanguage(
        "srr_Latn",
        "Serer",
        ("udhr-srr",),
        ("fineweb2-srr",),
        sentence(
            "texts that are not the Bible (FineWeb-2: bible_ratio 0.640); the Lutheran Church of "
            "Senegal made a dictionary of 27,000 words"
        ),
        (
            "https://felm.finskamissionssallskapet.fi/en-ordbok-for-ett-senegalesiskt-"
            "minoritetssprak-blir-till-med-stod-fran-finska-missionssallskapet/",
            _ARED,
        ),
    ),
    ProgrammeLanguage(
        "mnk_Latn",
        "Mandinka",
        (),
        ("fineweb2-mnk",),
        sentence("any text in a package, and pairs; FineWeb-2 has 76 documents"),
        (_ARED,),
    ),
    ProgrammeLanguage(
        "dyo_Latn",
        "Jola-Fonyi",
        ("udhr-dyo", "cldr-dyo"),
        ("fineweb2-dyo",),
        sentence("texts that are not the Bible (FineWeb-2: bible_ratio 0.989)"),
        (_SIL_SENEGAL, _ARED),
    ),
    ProgrammeLanguage(
        "snk_Latn",
        "Soninke",
        ("udhr-snk",),
        (),
        sentence("everything but the Universal Declaration; SIL Mali has booklets to download"),
        (_SIL_MALI, _ARED, "https://huggingface.co/Mayoiga"),
    ),
    ProgrammeLanguage(
        "bam_Latn",
        "Bambara",
        ("udhr-bam", "cldr-bam"),
        ("mafand-bam", "smol-bam", "fineweb2-bam"),
        sentence(
            "a large corpus with an established licence; the Bamana reference corpus has 3.8 "
            "million words"
        ),
        (_MANDING,),
        best="mafand-bam",
    ),
    ProgrammeLanguage(
        "fuf_Latn",
        "Pular (Guinea)",
        ("udhr-fuf",),
        ("fineweb2-fuf",),
        sentence(
            "pairs beyond the Universal Declaration, and texts in Adlam; the author of N'DAYGU "
            "translates French to Pular in both scripts"
        ),
        ("https://huggingface.co/diallo01/spaces",),
    ),
    ProgrammeLanguage(
        "emk_Latn",
        "Eastern Maninka (Guinea)",
        ("udhr-emk",),
        (),
        sentence("everything but the Universal Declaration; the Maninka corpus is public to read"),
        (_MANDING,),
    ),
)

PROGRAMMES: Mapping[str, Programme] = {
    "india": Programme(
        "india",
        (ENGLISH,),
        {
            "model": "google/gemma-3-1b-pt",
            "revision": "fcf18a2a879aab110ca39f8bffbccd5d49d8eb29",
            "licence": "gemma",
            "quantization": "4bit",
        },
        _INDIA,
    ),
    "senegal": Programme(
        "senegal",
        (FRENCH, ENGLISH),
        {
            "model": "Qwen/Qwen3-0.6B-Base",
            "revision": "da87bfb608c14b7cf20ba1ce41287e8de496c0cd",
            "licence": "apache-2.0",
        },
        _SENEGAL,
    ),
}
