"""What `finetune cards` says, in English and in French, for people who do not program.

One entry a finding: what is the matter, and what to do. A test holds both languages to the same
facts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

Lang = Literal["en", "fr"]

LEVELS: Mapping[str, Mapping[Lang, str]] = {
    "stop": {"en": "to mend", "fr": "à corriger"},
    "advice": {"en": "to look at", "fr": "à regarder"},
    "note": {"en": "good to know", "fr": "à savoir"},
}
"""How much a finding matters: `stop` keeps a recipe from running or a release from being made."""

COLON: Mapping[Lang, str] = {"en": ": ", "fr": " : "}
"""French has a space before it."""

FINDINGS: Mapping[str, Mapping[Lang, str]] = {
    "licence-unknown": {
        "en": "The licence '{licence}' is not one whose terms this program knows. Write one of the "
        "Hub's names, such as cc-by-4.0, or 'other' with license_name and license_link.",
        "fr": "La licence « {licence} » n'est pas de celles dont ce programme connaît les termes. "
        "Écrivez un des noms du Hub, par exemple cc-by-4.0, ou « other » avec license_name et "
        "license_link.",
    },
    "licence-no-derivatives": {
        "en": "The licence {licence} forbids passing on anything made from the texts, and a model "
        "trained on them is such a thing: it may be trained, but never published.",
        "fr": "La licence {licence} interdit de diffuser ce qui est tiré des textes, et un modèle "
        "entraîné sur eux en est tiré : il peut être entraîné, jamais publié.",
    },
    "licence-non-commercial": {
        "en": "The licence {licence} allows no commercial use, so neither does a model trained on "
        "these texts.",
        "fr": "La licence {licence} n'autorise aucun usage commercial ; un modèle entraîné sur ces "
        "textes n'en permettra pas non plus.",
    },
    "licence-share-alike": {
        "en": "The licence {licence} asks that whatever is made from the texts carries the same "
        "licence; a model trained on them will carry it.",
        "fr": "La licence {licence} demande que tout ce qui est tiré des textes porte la même "
        "licence ; un modèle entraîné sur eux la portera.",
    },
    "licence-community": {
        "en": "The community licence '{name}' has terms of its own ({link}). Whoever trains on "
        "these texts must read them, and accept them with `release.licence: other` in the recipe.",
        "fr": "La licence communautaire « {name} » a ses propres termes ({link}). Qui entraîne un "
        "modèle sur ces textes doit les lire, puis les accepter par `release.licence: other` dans "
        "la recette.",
    },
    "community-open": {
        "en": "The licence '{name}' binds whoever uses the texts ({link}), but the card says that "
        "access is open. Write `access: {{kind: agree}}`, or `kind: ask`, with the conditions.",
        "fr": "La licence « {name} » engage qui utilise les textes ({link}), mais la fiche dit que "
        "l'accès est libre. Écrivez `access: {{kind: agree}}`, ou `kind: ask`, et les conditions.",
    },
    "licence-guessed": {
        "en": "The licence was not established (`not_established` names it). Ask the owners before "
        "anything is published.",
        "fr": "La licence n'a pas pu être établie (`not_established` la nomme). Demandez-la aux "
        "propriétaires avant toute publication.",
    },
    "consent-expired": {
        "en": "The consent ended on {day}. Nothing may be trained or published any more; ask the "
        "contributors again, or take the card out of the recipe.",
        "fr": "Le consentement a pris fin le {day}. Plus rien ne peut être entraîné ni publié ; "
        "redemandez-le aux contributeurs, ou retirez la fiche de la recette.",
    },
    "consent-missing": {
        "en": "Nothing says on which basis the texts may be used. Write under `consent` who agreed "
        "to what: in writing, by word of mouth, or as a community.",
        "fr": "Rien ne dit sur quelle base les textes peuvent être utilisés. Écrivez sous "
        "`consent` qui a accepté quoi : par écrit, oralement, ou en tant que communauté.",
    },
    "withdrawal-missing": {
        "en": "Nothing says who may take texts back, and how. Write it under "
        "`consent: withdrawal`.",
        "fr": "Rien ne dit qui peut reprendre ses textes, ni comment. Écrivez-le sous "
        "`consent: withdrawal`.",
    },
    "withdrawn-card": {
        "en": "This corpus was taken back: nothing of it is used any more.",
        "fr": "Ce corpus a été retiré : plus rien n'en est utilisé.",
    },
    "withdrawn-records": {
        "en": "{count} records were taken back and are left out of every run.",
        "fr": "{count} enregistrements ont été retirés ; aucune exécution ne les utilise.",
    },
    "withdrawn-gone": {
        "en": "{count} of the {of} withdrawn records are not in the files. If they were removed "
        "there, all is well. If texts or `columns` were changed since, their fingerprints changed "
        "too: withdraw them again.",
        "fr": "{count} des {of} enregistrements retirés ne sont pas dans les fichiers. S'ils en "
        "ont été enlevés, tout va bien. Si les textes ou `columns` ont changé depuis, leurs "
        "empreintes aussi : retirez-les à nouveau.",
    },
    "use-not-permitted": {
        "en": "The owners do not permit this use: {use}. {effect}",
        "fr": "Les propriétaires ne permettent pas cet usage : {use}. {effect}",
    },
    "access-restricted": {
        "en": "Access is not open: {who}. Whoever uses the card must have that permission first. "
        "Conditions: {conditions}",
        "fr": "L'accès n'est pas libre : {who}. Qui utilise la fiche doit d'abord avoir cet "
        "accord. Conditions : {conditions}",
    },
    "contact-missing": {
        "en": "Nobody is named whom one could ask. Write an address under `contact`.",
        "fr": "Personne n'est indiqué à qui s'adresser. Écrivez une adresse sous `contact`.",
    },
    "speakers-missing": {
        "en": "Nothing says who spoke or wrote the texts. Write under `speakers` what they agreed "
        "to tell, even if it is little.",
        "fr": "Rien ne dit qui a parlé ou écrit ces textes. Écrivez sous `speakers` ce que ces "
        "personnes ont accepté de dire, même si c'est peu.",
    },
    "variety-missing": {
        "en": "Nothing says which dialect or spelling of {name} this is. Write it under "
        "`varieties`.",
        "fr": "Rien ne dit de quel dialecte ou de quelle orthographe il s'agit pour {name}. "
        "Écrivez-le sous `varieties`.",
    },
    "language-key-differs": {
        "en": "The line `language` says {written}, but `corpus.languages` stands for {expected}. "
        "The Hub shows the first, the training uses the second: write the same in both.",
        "fr": "La ligne `language` dit {written}, mais `corpus.languages` correspond à {expected}. "
        "Le Hub montre la première, l'entraînement utilise la seconde : écrivez la même chose.",
    },
    "hub-value": {
        "en": "The Hub does not know '{value}' under `{key}`. It knows: {known}.",
        "fr": "Le Hub ne connaît pas « {value} » sous `{key}`. Il connaît : {known}.",
    },
    "size-differs": {
        "en": "`size_categories` says {written}, but there are {count} texts: {counted}.",
        "fr": "`size_categories` dit {written}, mais il y a {count} textes : {counted}.",
    },
    "names-not-stated": {
        "en": "The card does not say whether people are named in the texts, and no program finds "
        "names in every language. Write personal_names: none, public-figures, pseudonymised or "
        "present.",
        "fr": "La fiche ne dit pas si des personnes sont nommées dans les textes, et aucun "
        "programme ne trouve les noms dans toutes les langues. Écrivez personal_names : none, "
        "public-figures, pseudonymised ou present.",
    },
    "personal-data-present": {
        "en": "The card says that the texts hold personal data. A model can repeat them: remove "
        "them before training, unless everybody concerned agreed.",
        "fr": "La fiche dit que les textes contiennent des données personnelles. Un modèle peut "
        "les répéter : retirez-les avant l'entraînement, sauf accord de toutes les personnes.",
    },
    "heading-missing": {
        "en": "The prose below the card has no part '{heading}'. Write one; 'not stated' is an "
        "honest answer.",
        "fr": "Le texte sous la fiche n'a pas de partie « {heading} ». Écrivez-la ; « not stated » "
        "(non précisé) est une réponse honnête.",
    },
    "heading-empty": {
        "en": "The part '{heading}' says nothing yet.",
        "fr": "La partie « {heading} » ne dit encore rien.",
    },
    "not-established": {
        "en": "Not established: {what}",
        "fr": "Non établi : {what}",
    },
    "known-problem": {
        "en": "Known problem: {what}",
        "fr": "Problème connu : {what}",
    },
    "not-run": {
        "en": "The card was written from documentation; its authors could not open the corpus.",
        "fr": "La fiche a été écrite d'après la documentation ; ses auteurs n'ont pas pu ouvrir le "
        "corpus.",
    },
    "not-fetched": {
        "en": "The texts are not on this machine ({place}), so they could not be looked at. "
        "`finetune fetch RECIPE` gets them.",
        "fr": "Les textes ne sont pas sur cette machine ({place}) et n'ont pas pu être regardés. "
        "`finetune fetch RECETTE` va les chercher.",
    },
    "pattern-broken": {
        "en": "`drop_matching` is no regular expression ({why}). Mend it, or leave the line out.",
        "fr": "`drop_matching` n'est pas une expression régulière ({why}). Corrigez-la, ou retirez "
        "la ligne.",
    },
    "no-texts": {
        "en": "The files hold no text at all.",
        "fr": "Les fichiers ne contiennent aucun texte.",
    },
    "few-texts": {
        "en": "There are only {count} texts. A model learns little from so few; some must be held "
        "out for measuring too.",
        "fr": "Il n'y a que {count} textes. Un modèle en apprend peu, et il faut en garder une "
        "partie pour mesurer.",
    },
    "one-long-line": {
        "en": "The file {file} is one single line. Each text needs a line of its own.",
        "fr": "Le fichier {file} tient sur une seule ligne. Chaque texte doit avoir la sienne.",
    },
    "other-script": {
        "en": "{count} of the first {of} texts said to be {language} are written in {found} "
        "letters, not {script}. Example ({where}): {sample}",
        "fr": "{count} des {of} premiers textes annoncés comme {language} sont écrits en lettres "
        "{found}, et non {script}. Exemple ({where}) : {sample}",
    },
    "other-language": {
        "en": "{count} of the first {of} texts said to be in {name} ({language}) seem to be in "
        "another language: {found}. Programs err, most of all between languages that are near to "
        "each other: ask somebody who speaks it. Example ({where}): {sample}",
        "fr": "{count} des {of} premiers textes annoncés comme {name} ({language}) semblent être "
        "dans une autre langue : {found}. Un programme se trompe, surtout entre langues proches : "
        "demandez à quelqu'un qui la parle. Exemple ({where}) : {sample}",
    },
    "language-not-covered": {
        "en": "Whether the texts are in {name} ({language}) was not looked at, only their letters: "
        "no program here that tells languages apart knows it. `finetune prepare` tries to learn it "
        "from the cards; better, somebody who speaks it reads some texts.",
        "fr": "Personne n'a vérifié que les textes sont en {name} ({language}), seulement leurs "
        "lettres : aucun programme d'ici qui distingue les langues ne la connaît. `finetune "
        "prepare` tente de l'apprendre des fiches ; mieux : faites lire des textes à quelqu'un "
        "qui la parle.",
    },
    "old-font": {
        "en": "If these texts look right in a word processor, they are in a font from before "
        "Unicode (Kruti Dev, Bijoy, Preeti, Bamini ...). Convert them first; Python packages that "
        "do: {packages}.",
        "fr": "Si ces textes s'affichent bien dans un traitement de texte, ils sont dans une "
        "police d'avant Unicode (Kruti Dev, Bijoy, Preeti, Bamini...). Convertissez-les d'abord ; "
        "paquets Python qui le font : {packages}.",
    },
    "unreadable": {
        "en": "{problem}",
        "fr": "{problem}",
    },
    "written": {
        "en": "Wrote {path} ({count} texts looked at). Read it, and mend it in any text editor.",
        "fr": "{path} est écrite ({count} textes regardés). Lisez-la, et corrigez-la dans un "
        "éditeur de texte.",
    },
    "reviewed": {
        "en": "{path}: {count} texts that were left out, for a speaker to look through; opens in "
        "a spreadsheet.",
        "fr": "{path} : {count} textes écartés, à relire par quelqu'un qui parle la langue ; "
        "s'ouvre dans un tableur.",
    },
    "fingerprinted": {
        "en": "{path}: the hashes of {count} texts, none of which can be read out of it. In a "
        "recipe: prepare.evaluation_sets, with sha256 {sha256}",
        "fr": "{path} : les empreintes de {count} textes, dont aucun ne s'y relit. Dans une "
        "recette : prepare.evaluation_sets, avec sha256 {sha256}",
    },
    "catalogue": {
        "en": "Wrote {path} with {count} cards; open it in any browser.",
        "fr": "{path} est écrit, avec {count} fiches ; ouvrez-le dans un navigateur.",
    },
    "catalogue-broken": {
        "en": "{name} is not in it, because it cannot be read: finetune cards check {name}",
        "fr": "{name} n'y est pas, car illisible : finetune cards check {name}",
    },
    "published": {
        "en": "Published: {place}",
        "fr": "Publié : {place}",
    },
    "published-before": {
        "en": "{place} has these texts already: nothing to do.",
        "fr": "{place} a déjà ces textes : rien à faire.",
    },
    "publish-dry": {
        "en": "This would go to {place}; nothing was sent.",
        "fr": "Voilà ce qui irait vers {place} ; rien n'a été envoyé.",
    },
    "fine": {
        "en": "{name}: nothing to mend.",
        "fr": "{name} : rien à corriger.",
    },
    "counted": {
        "en": "{name}: {stops} to mend, {advices} to look at.",
        "fr": "{name} : {stops} à corriger, {advices} à regarder.",
    },
}

USES: Mapping[str, Mapping[Lang, str]] = {
    "train-models": {"en": "training models", "fr": "entraîner des modèles"},
    "publish-models": {"en": "publishing models", "fr": "publier des modèles"},
    "commercial": {"en": "commercial use", "fr": "un usage commercial"},
    "share": {"en": "passing the texts on", "fr": "diffuser les textes"},
}
EFFECTS: Mapping[str, Mapping[Lang, str]] = {
    "train-models": {
        "en": "No recipe runs with this card.",
        "fr": "Aucune recette ne fonctionne avec cette fiche.",
    },
    "publish-models": {
        "en": "A model may be trained on it for oneself, but not released.",
        "fr": "On peut entraîner un modèle pour soi, mais pas le publier.",
    },
    "commercial": {
        "en": "A released model is marked as non-commercial.",
        "fr": "Un modèle publié sera marqué comme non commercial.",
    },
    "share": {
        "en": "`finetune cards publish` refuses.",
        "fr": "`finetune cards publish` refuse.",
    },
}
WHO: Mapping[str, Mapping[Lang, str]] = {
    "agree": {
        "en": "whoever accepts the conditions",
        "fr": "pour qui accepte les conditions",
    },
    "ask": {
        "en": "the owners decide on each request",
        "fr": "les propriétaires décident à chaque demande",
    },
}
NOTHING: Mapping[Lang, str] = {"en": "none stated", "fr": "aucune indiquée"}


def language_of_messages(environment: Mapping[str, str] = os.environ) -> Lang:
    """Return the language a person wants messages in, as their system says.

    >>> language_of_messages({"LANG": "fr_SN.UTF-8"}), language_of_messages({})
    ('fr', 'en')
    """
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environment.get(name):
            return "fr" if environment[name].lower().startswith("fr") else "en"
    return "en"


def say(code: str, lang: Lang, **facts: Any) -> str:
    """Return the sentence of a finding."""
    return FINDINGS[code][lang].format(**facts)
