"""The names of what the corpus report counts, in French; in English they stand where it is counted.

A test holds every table to the names that can occur.
"""

from __future__ import annotations

from collections.abc import Mapping

REASONS_FR: Mapping[str, str] = {
    "withdrawn": "repris par qui l'avait donné ou par le propriétaire ; rien n'en est gardé ici",
    "empty": "pas de texte (d'un de ses côtés)",
    "too-short": "moins de caractères que prepare.min_characters",
    "matches-drop-pattern": "l'expression drop_matching de la fiche y trouve quelque chose",
    "untranslated": "la traduction et sa source sont le même texte",
    "direction-controls": "des commandes qui retournent le sens du texte cachent ce qui est écrit",
    "mark-flood": "plus de 30 signes sur une seule lettre, comme dans aucune écriture",
    "personal-data": "contient des données personnelles que la recette écarte",
    "other-script": "la plupart des lettres sont d'une autre écriture que celle de la fiche",
    "damaged": "des lettres sont perdues, ou d'une ancienne police de caractères",
    "markup": "presque seulement du HTML, du wikitexte, des variables ou du code",
    "placeholder-text": "du faux texte de mise en page (lorem ipsum)",
    "few-letters": "aucune lettre, ou peu pour sa longueur",
    "repetition": "la plus grande partie était déjà dite dans le même texte",
    "repeated-lines": "seulement des lignes qui se trouvent dans beaucoup de textes",
    "length-outlier": "beaucoup plus long ou plus court que les textes de sa fiche",
    "length-ratio": "beaucoup plus long ou plus court que sa traduction ne le fait attendre",
    "special-token": "contient une marque de commande du modèle, qui finirait ou feindrait un tour",
    "no-answer": "une conversation sans réponse de l'assistant",
    "other-language": "semble être dans une autre langue que celle de la fiche (prepare.identify)",
    "duplicate": "le même texte était déjà là (après normalisation)",
    "max-documents": "au-delà de max_documents de la recette",
    "in-evaluation": "un de ses textes est mis de côté pour la validation ou l'examen",
    "contaminated": "contient un texte d'un jeu d'évaluation (prepare.evaluation_sets)",
    "near-evaluation": "presque le même qu'un texte mis de côté pour la validation ou l'examen",
    "near-duplicate": "presque le même qu'un texte qui vient avant (prepare.duplicates)",
    "over-length": "plus long qu'une ligne (prepare.sequence_tokens), et ne doit pas être coupé",
}
"""The reasons of finetune.prepare.checking.ledger.REASONS in French."""

CHANGES_FR: Mapping[str, str] = {
    "mojibake": "un texte mal décodé est réparé",
    "surrogates": "des moitiés de caractère sont réunies, ou montrées par U+FFFD",
    "byte-order-mark": "des marques d'ordre des octets dans le texte sont retirées",
    "nul": "des caractères NUL sont retirés",
    "line-ends": "toute fin de ligne devient un saut de ligne simple",
    "control-characters": "des caractères de commande, qui n'écrivent rien, sont retirés",
    "soft-hyphen": "des traits d'union conditionnels (invisibles) sont retirés",
    "zero-width-space": "des espaces sans chasse sont retirées là où l'écriture met des espaces",
    "invisible": "des caractères de format invisibles sont retirés ; les liants restent",
    "tag-characters": "des caractères d'étiquette, qui cachent du texte, sont retirés",
    "variation-selectors": "des sélecteurs de variante en trop, qui cachent du texte, sont retirés",
    "direction-controls": "des commandes qui retournent le sens du texte sont retirées",
    "nfc": "les lettres et leurs signes sont composés (NFC)",
    "look-alikes": "des lettres grecques, cyrilliques ou mal crochues deviennent celles de "
    "l'orthographe",
    "surrounding-space": "les espaces en fin de ligne et autour du texte sont retirées",
    "markup-lines": "des lignes presque seulement de HTML, de wikitexte ou de code sont retirées",
    "repeated-lines": "des lignes qui figurent dans beaucoup de textes (en-têtes) sont retirées",
    "personal-data": "des données personnelles sont masquées",
}
"""The changes of finetune.text.normalize.CHANGES in French."""

FINDINGS_FR: Mapping[str, str] = {
    "other-script": "la plupart des lettres d'une ligne sont d'une autre écriture que la fiche",
    "mixed-script": "une ligne a des lettres de deux écritures ou plus",
    "mixed-script-word": "un mot a des lettres de deux écritures qui se ressemblent",
    "right-to-left": "une ligne a des lettres qui s'écrivent de droite à gauche",
    "mixed-direction": "une ligne a des lettres des deux sens",
    "direction-marks": "des marques invisibles de sens, qui sont gardées",
    "direction-controls": "des commandes de sens qui peuvent faire passer un texte pour un autre",
    "private-use": "des caractères sans sens public, souvent d'une vieille police ; gardés",
    "looks-broken": "semble mal décodé ; `prepare.text.mojibake` répare",
    "length-outlier": "bien plus long ou plus court que les textes de sa fiche",
    "length-ratio": "bien plus long ou plus court que sa traduction ne le laisse attendre",
}
"""The findings of finetune.text.lines.FINDINGS in French."""

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
