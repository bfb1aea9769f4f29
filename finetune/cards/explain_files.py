"""Messages about the files of a corpus in plain words: what finetune/readers says."""

from __future__ import annotations

from typing import NamedTuple


class Saying(NamedTuple):
    """What a message means: a pattern over it, and the sentence in each language."""

    pattern: str
    en: str
    fr: str


FILE_SAYINGS = (
    Saying(
        r"(?P<where>.+?): holds a formula and no text;.*",
        "{where}: there is a formula where a text belongs. Copy the column, paste it as values, "
        "and save",
        "{where} : il y a une formule à la place d'un texte. Copiez la colonne, collez-la comme "
        "valeurs, et enregistrez",
    ),
    Saying(
        r"(?P<where>.+?): (?P<pages>\d+) pages and no text in them.*",
        "{where}: its {pages} pages are pictures. Have the text recognised (OCR), and let a "
        "speaker correct it",
        "{where} : ses {pages} pages sont des images. Faites reconnaître le texte (OCR), et "
        "faites-le corriger par quelqu'un qui parle la langue",
    ),
    Saying(
        r"(?P<where>.+?): is in the font '(?P<font>.*?)', from before Unicode.*package "
        r"'(?P<package>.*?)'.*",
        "{where}: is in the old font {font}; what looks right on paper is stored as other letters. "
        "Convert it to Unicode first (for example with the Python package {package}), and let a "
        "speaker check it",
        "{where} : est dans l'ancienne police {font} ; ce qui est juste sur le papier est "
        "enregistré avec d'autres lettres. Convertissez d'abord en Unicode (par exemple avec le "
        "paquet Python {package}), et faites vérifier par quelqu'un qui parle la langue",
    ),
    Saying(
        r"(?P<where>.+?): unpacks from .* made to fill the memory",
        "{where}: swells up to something no document is. It is damaged, or made to do harm; do not "
        "use it",
        "{where} : se déploie en quelque chose qu'aucun document n'est. Il est abîmé, ou fait pour "
        "nuire ; ne l'utilisez pas",
    ),
    Saying(
        r"(?P<where>.+?): defines entities of its own.*",
        "{where}: holds definitions that no ordinary program writes, and an attack does. Export "
        "the file again from the program it comes from",
        "{where} : contient des définitions qu'aucun programme ordinaire n'écrit, mais qu'une "
        "attaque utilise. Exportez de nouveau le fichier depuis son programme d'origine",
    ),
    Saying(
        r"(?P<where>.+?): holds a NUL character.*",
        "{where}: is damaged (it holds a character that no writing has). Export the file again",
        "{where} : est abîmé (il contient un caractère qu'aucune écriture n'a). Exportez de "
        "nouveau le fichier",
    ),
    Saying(
        r"(?P<where>.+?): is protected by a password.*",
        "{where}: is protected by a password; save it without",
        "{where} : est protégé par un mot de passe ; enregistrez-le sans",
    ),
    Saying(
        r"(?P<where>.+?): larger than (?P<size>\d+) MiB;.*",
        "{where}: is larger than {size} MB; split it, or export the text alone",
        "{where} : dépasse {size} Mo ; divisez-le, ou exportez le texte seul",
    ),
    Saying(
        r"reading (?P<what>.*) needs the Python package '(?P<package>.*)', which is not installed; "
        r"(?P<command>.*)",
        "to read {what}, the Python package {package} is needed; type: {command}",
        "pour lire {what}, il faut le paquet Python {package} ; tapez : {command}",
    ),
    Saying(
        r"(?P<where>.+?): no sheet has rows below the columns (?P<columns>.*)",
        "{where}: no sheet has texts below the columns {columns}; correct `columns` in the card",
        "{where} : aucune feuille n'a de textes sous les colonnes {columns} ; corrigez `columns` "
        "dans la fiche",
    ),
    Saying(
        r"(?P<where>.+?): no (?P<kind>column|tier|marker) (?P<name>\S+?); the (?:columns|tiers|"
        r"markers) there are (?P<there>.*?); correct .*",
        "{where}: there is no {kind} {name}; there are: {there}. Correct `columns` in the card",
        "{where} : il n'y a pas de « {kind} » {name} ; il y a : {there}. Corrigez `columns` dans "
        "la fiche",
    ),
    Saying(
        r"(?P<where>.+?): begins with no marker.*",
        "{where}: is no Toolbox file; a line there begins with a marker such as \\tx",
        "{where} : n'est pas un fichier Toolbox ; une ligne y commence par un marqueur comme \\tx",
    ),
    Saying(
        r"(?P<where>.+?): (?:is not .+? that can be read|is not a file of ELAN|cannot be opened|"
        r"not a Parquet file|holds no <).*",
        "{where}: is damaged, or not the kind of file that the card says; open it in the program "
        "it comes from, and save it again",
        "{where} : est abîmé, ou n'est pas le type de fichier que dit la fiche ; ouvrez-le dans "
        "son programme d'origine et enregistrez-le de nouveau",
    ),
    Saying(
        r"(?P<where>.+?): byte \d+ of the file \((?P<byte>0x\w+)\) is not .*",
        "{where}: a letter is stored in an old way ({byte}); save the file as UTF-8",
        "{where} : une lettre est enregistrée dans un ancien codage ({byte}) ; enregistrez le "
        "fichier en UTF-8",
    ),
    Saying(
        r"(?P<where>.+?): (?:begins with a UTF-16|no UTF-16) byte order mark.*",
        "{where}: is stored in another way than the card says (`encoding`); save the file as UTF-8",
        "{where} : est enregistré dans un autre codage que ne le dit la fiche (`encoding`) ; "
        "enregistrez le fichier en UTF-8",
    ),
    Saying(
        r"(?P<where>.+?): line of more than (?P<size>\d+) MiB.*",
        "{where}: one line is longer than {size} MB; put each text on a line of its own",
        "{where} : une ligne dépasse {size} Mo ; mettez chaque texte sur sa propre ligne",
    ),
    Saying(
        r"(?P<where>.+?): (?:not JSON|cannot be read as JSON|a JSON \w+, but|holds half of).*",
        "{where}: this line is no record in JSON; export the file again",
        "{where} : cette ligne n'est pas un enregistrement JSON ; exportez de nouveau le fichier",
    ),
    Saying(
        r"(?P<where>.+?): (?P<found>\d+) fields, but the header names (?P<named>\d+);.*",
        "{where}: has {found} columns, and the first line names {named}; a text that holds the "
        "separator must stand between quotation marks",
        "{where} : a {found} colonnes, alors que la première ligne en nomme {named} ; un texte qui "
        "contient le séparateur doit être entre guillemets",
    ),
    Saying(
        r"(?P<where>.+?): .*; check the quotation marks",
        "{where}: a quotation mark is missing or too many",
        "{where} : il manque un guillemet, ou il y en a un de trop",
    ),
)
"""Order counts: the first that fits is said."""
