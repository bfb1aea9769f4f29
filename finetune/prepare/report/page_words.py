"""What the corpus report says, in English and in French, for people who do not program.

The page holds both and shows one; a test holds both languages to the same entries.
"""

from __future__ import annotations

from collections.abc import Mapping

from finetune.prepare.checking.checks import REASONS
from finetune.text.normalize import CHANGES
from finetune.text.oddities import FINDINGS

WORDS: Mapping[str, Mapping[str, str]] = {
    "colon": {"en": ": ", "fr": "\u202f: "},
    "title": {"en": "What became of the corpus", "fr": "Ce qu'est devenu le corpus"},
    "intro": {
        "en": "Every text that was read was either kept or left out for one reason. If you speak "
        "one of these languages, please look at the samples: you see at once what no program can "
        "know. All texts that were left out are in the file rejected.jsonl beside this page.",
        "fr": "Chaque texte lu a été gardé, ou écarté pour une seule raison. Si vous parlez une de "
        "ces langues, regardez les extraits : vous voyez tout de suite ce qu'aucun programme ne "
        "peut savoir. Tous les textes écartés sont dans le fichier rejected.jsonl, à côté de cette "
        "page.",
    },
    "read": {"en": "texts read", "fr": "textes lus"},
    "kept": {"en": "kept", "fr": "gardés"},
    "left-out": {"en": "left out", "fr": "écartés"},
    "changed": {"en": "small changes", "fr": "petites corrections"},
    "funnel": {"en": "From texts read to texts kept", "fr": "Des textes lus aux textes gardés"},
    "funnel-help": {
        "en": "The bar is what is left after each step; the pale end is what that step left out.",
        "fr": "La barre montre ce qui reste après chaque étape ; le bout pâle, ce que l'étape a "
        "écarté.",
    },
    "by-card": {"en": "Each card by itself", "fr": "Chaque fiche séparément"},
    "reasons": {"en": "What the reasons mean", "fr": "Ce que veulent dire les raisons"},
    "train": {"en": "to learn from", "fr": "pour apprendre"},
    "validation": {
        "en": "to watch the learning",
        "fr": "pour suivre l'apprentissage",
    },
    "test": {"en": "kept apart for the test", "fr": "mis de côté pour l'examen"},
    "languages": {"en": "The languages", "fr": "Les langues"},
    "language": {"en": "language", "fr": "langue"},
    "texts": {"en": "texts", "fr": "textes"},
    "words": {"en": "words", "fr": "mots"},
    "bytes": {"en": "bytes", "fr": "octets"},
    "tokens": {"en": "tokens", "fr": "tokens"},
    "bytes-per-token": {"en": "bytes a token", "fr": "octets par token"},
    "tokens-per-word": {"en": "tokens a word", "fr": "tokens par mot"},
    "fertility": {
        "en": "How well the model's alphabet fits",
        "fr": "Comment l'alphabet du modèle convient",
    },
    "fertility-help": {
        "en": "A model reads words in pieces, called tokens. The more pieces a word needs, the "
        "less the model knows the language, and the slower it reads and writes it. Counted over "
        "what is learned. Words stand between spaces, so the number means little for scripts "
        "without them.",
        "fr": "Un modèle lit les mots par morceaux, appelés tokens. Plus un mot en demande, moins "
        "le modèle connaît la langue, et plus il la lit et l'écrit lentement. Compté sur ce qui "
        "est appris. Les mots sont ce qui est entre deux espaces : le nombre ne dit pas "
        "grand-chose pour les écritures qui n'en mettent pas.",
    },
    "lengths": {"en": "How long the texts are", "fr": "La longueur des textes"},
    "lengths-help": {
        "en": "Columns are numbers of texts; below each stands the length in characters from which "
        "on it counts.",
        "fr": "Les colonnes sont des nombres de textes ; sous chacune, la longueur en caractères à "
        "partir de laquelle elle compte.",
    },
    "packed": {"en": "Packed for training", "fr": "Rangé pour l'entraînement"},
    "rows": {"en": "rows", "fr": "lignes"},
    "learned": {"en": "tokens that are learned", "fr": "tokens appris"},
    "changes": {"en": "What was changed in texts", "fr": "Ce qui a été corrigé dans les textes"},
    "changes-help": {
        "en": "Letters are never changed without a rule of the language that says so. Red and "
        "struck through was there before, green is there now; a code in brackets is a character "
        "that cannot be seen.",
        "fr": "Une lettre n'est jamais changée sans une règle de la langue qui le dit. En rouge et "
        "barré, ce qu'il y avait ; en vert, ce qu'il y a maintenant ; un code entre crochets est "
        "un caractère invisible.",
    },
    "change": {"en": "change", "fr": "correction"},
    "findings": {
        "en": "What looks odd and stays as it is",
        "fr": "Ce qui paraît étrange et reste comme il est",
    },
    "findings-help": {
        "en": "Nothing of this was changed. Someone who speaks the language sees if it is right.",
        "fr": "Rien de cela n'a été changé. Qui parle la langue voit si c'est juste.",
    },
    "finding": {"en": "what was seen", "fr": "ce qui a été vu"},
    "lines": {"en": "lines", "fr": "lignes"},
    "personal": {"en": "Personal data", "fr": "Données personnelles"},
    "personal-help": {
        "en": "Found by pattern: numbers and addresses, and names only where the card has a column "
        "for them. Other names of people are not found. What was there is blacked out here.",
        "fr": "Trouvées par leur forme : numéros et adresses, et les noms seulement si la fiche a "
        "une colonne pour eux. Les autres noms ne sont pas trouvés. Ce qu'il y avait est noirci "
        "ici.",
    },
    "kind": {"en": "what", "fr": "quoi"},
    "times": {"en": "times", "fr": "fois"},
    "per-thousand": {"en": "of 1 000 texts", "fr": "sur 1 000 textes"},
    "model-view": {"en": "As the model sees it", "fr": "Comme le modèle le voit"},
    "model-view-help": {
        "en": "One box a token; a small number says that so many tokens spell one character or "
        "word. Green is learned, grey is given.",
        "fr": "Une case par token ; un petit nombre dit combien de tokens écrivent un seul "
        "caractère ou mot. En vert ce qui est appris, en gris ce qui est donné.",
    },
    "identification": {
        "en": "Are the texts in the language that the card says?",
        "fr": "Les textes sont-ils dans la langue que dit la fiche ?",
    },
    "identification-help": {
        "en": "Every line was compared with the languages that may have strayed in. Programs make "
        "mistakes, most of all on short lines and between related languages: look at the samples. "
        "'Not covered' means that no program here knows the language, so that only the letters "
        "were checked.",
        "fr": "Chaque ligne a été comparée aux langues qui ont pu s'y glisser. Les programmes se "
        "trompent, surtout sur les lignes courtes et entre langues parentes : regardez les "
        "extraits. « Non couverte » veut dire qu'aucun programme ici ne connaît la langue ; seules "
        "les lettres ont été vérifiées.",
    },
    "fits": {"en": "fits", "fr": "concorde"},
    "looks-like": {"en": "looks like", "fr": "ressemble à"},
    "no-answer": {"en": "too short or unsure", "fr": "trop court ou incertain"},
    "not-covered": {"en": "not covered", "fr": "non couverte"},
    "kept-samples": {"en": "Samples of what was kept", "fr": "Extraits de ce qui a été gardé"},
    "left-out-samples": {
        "en": "Samples of what was left out",
        "fr": "Extraits de ce qui a été écarté",
    },
    "no-text": {"en": "(no text)", "fr": "(pas de texte)"},
    "copies": {"en": "Near copies", "fr": "Copies presque semblables"},
    "copies-help": {
        "en": "Of texts that are nearly the same one is kept, and nothing that is nearly a text of "
        "the test is learned. Red and struck through is only in the one that was kept, green only "
        "in the one that was left out.",
        "fr": "De textes presque semblables, un seul est gardé, et rien de ce qui est presque un "
        "texte de l'examen n'est appris. En rouge et barré, ce qui n'est que dans celui qui est "
        "gardé ; en vert, ce qui n'est que dans celui qui est écarté.",
    },
    "no-copies": {"en": "None were found.", "fr": "Aucune n'a été trouvée."},
    "samples": {"en": "samples", "fr": "extraits"},
    "held": {
        "en": "Sentences that must not be learned",
        "fr": "Des phrases qui ne doivent pas être apprises",
    },
    "held-help": {
        "en": "The model will be measured by these sets, so no text that holds one of their "
        "sentences is learned.",
        "fr": "Le modèle sera mesuré sur ces jeux ; aucun texte qui contient une de leurs phrases "
        "n'est appris.",
    },
    "set": {"en": "set", "fr": "jeu"},
    "sentences": {"en": "sentences", "fr": "phrases"},
    "met": {"en": "of them met", "fr": "rencontrées"},
    "nothing-left-out": {"en": "Nothing was left out.", "fr": "Rien n'a été écarté."},
    "nothing-changed": {"en": "No text was changed.", "fr": "Aucun texte n'a été corrigé."},
}


REASONS_FR: Mapping[str, str] = {key: reason.fr for key, reason in REASONS.items()}
CHANGES_FR: Mapping[str, str] = {key: change.fr for key, change in CHANGES.items()}
FINDINGS_FR: Mapping[str, str] = {key: finding.fr for key, finding in FINDINGS.items()}

PERSONAL: Mapping[str, Mapping[str, str]] = {
    "email": {"en": "e-mail addresses", "fr": "adresses électroniques"},
    "phone": {"en": "telephone numbers", "fr": "numéros de téléphone"},
    "national_id": {"en": "numbers of identity cards", "fr": "numéros de carte d'identité"},
    "bank_account": {"en": "bank accounts (IBAN)", "fr": "comptes bancaires (IBAN)"},
    "payment_card": {"en": "payment cards", "fr": "cartes de paiement"},
    "ip_address": {"en": "IP addresses", "fr": "adresses IP"},
    "account_url": {"en": "addresses of accounts", "fr": "adresses de comptes"},
    "names": {"en": "names of people", "fr": "noms de personnes"},
}
"""The kinds of finetune.spec.text_checks.KINDS."""
