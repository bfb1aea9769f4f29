"""Forms of secrets that services issue, one row each, and their difference from words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Form:
    """A form of secret. A text without any of the marks is not searched for it."""

    kind: str
    """In words, e.g. `an access token of GitHub`."""
    marks: tuple[str, ...]
    pattern: str
    """Its group `secret`, or all of it, is the secret."""
    is_one: Callable[[str], bool] = lambda _: True
    """True if what the pattern found is one after all."""


def looks_drawn(text: str) -> bool:
    """Return whether a text looks drawn at random, as tokens do and words do not.

    >>> looks_drawn("learn-something-new-every-day"), looks_drawn("aB3dE6-gH9jK2")
    (False, True)
    """
    digits = sum(c.isdigit() for c in text)
    longest = max(map(len, re.split(r"[^A-Za-z0-9]", text)))
    mixed = text not in (text.lower(), text.upper())
    return longest >= 20 or (digits >= 2 and (mixed or digits * 6 >= len(text)))


def _value_looks_drawn(text: str) -> bool:
    return looks_drawn(text.rsplit(maxsplit=1)[-1])


FORMS = (
    Form("an access token of Hugging Face", ("hf_",), r"\bhf_[A-Za-z0-9]{16,}"),
    Form("an access token of Hugging Face", ("api_org_",), r"\bapi_org_[A-Za-z0-9]{16,}"),
    Form(
        "an access token of GitHub",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
    ),
    Form("an access token of GitLab", ("gl",), r"\bgl(?:pat|dt|rt|cbt|oas|ptt|ft)-[\w-]{16,}"),
    Form("an API key (sk-...)", ("sk-",), r"(?<![\w-])sk-[A-Za-z0-9_-]{20,}", looks_drawn),
    Form(
        "a key of AWS",
        ("AKIA", "ASIA", "AROA", "AIDA", "ABIA", "ACCA"),
        r"\b(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[0-9A-Z]{16}\b",
    ),
    Form("an API key of Google", ("AIza",), r"\bAIza[0-9A-Za-z_-]{35}"),
    Form("an access token of Google", ("ya29.",), r"\bya29\.[0-9A-Za-z_-]{20,}"),
    Form("a client secret of Google", ("GOCSPX-",), r"\bGOCSPX-[0-9A-Za-z_-]{20,}"),
    Form("an access token of Slack", ("xox", "xapp-"), r"\b(?:xox[a-z]|xapp)-[A-Za-z0-9-]{10,}"),
    Form(
        "an address with which anybody may post",
        ("hooks.slack.com/", "/api/webhooks/"),
        r"hooks\.slack\.com/(?:services|workflows)/[\w/-]{20,}"
        r"|discord(?:app)?\.com/api/webhooks/\d+/[\w-]{20,}",
    ),
    Form("an access token of npm", ("npm_",), r"\bnpm_[A-Za-z0-9]{30,}"),
    Form("an access token of PyPI", ("pypi-",), r"\bpypi-[A-Za-z0-9_-]{40,}", looks_drawn),
    Form("an API key of W&B", ("wandb_v1_",), r"\bwandb_v1_[A-Za-z0-9_-]{20,}"),
    Form(
        "an API key of W&B",
        ("wandb",),
        r"\bwandb\s{1,9}login\s{1,9}(?:--[\w=-]{1,40}\s{1,9}){0,3}(?P<secret>[\w-]{30,})",
    ),
    Form(
        "a password for a machine (.netrc)",
        ("machine", "default"),
        r"\b(?:machine\s{1,9}[^\s]{1,200}|default)(?:\s{1,9}(?:login|account)\s{1,9}[^\s]{1,200})"
        r"{0,2}\s{1,9}password\s{1,9}(?P<secret>[^\s*]\S*)",
        lambda found: found.startswith("machine") or " login " in " ".join(found.split()),
    ),
    Form(
        "a signed token (JWT)",
        ("eyJ",),
        r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    ),
    Form(
        "a private key",
        ("PRIVATE KEY",),
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[^-]{0,20000}-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
    ),
    Form("a private key", ("PuTTY-User-Key-File-",), r"PuTTY-User-Key-File-\d{1,3}:"),
    Form("a private key", ("AGE-SECRET-KEY-",), r"\bAGE-SECRET-KEY-1[A-Z0-9]{40,}"),
    Form("a key of Stripe", ("_live_", "_test_"), r"\b[sr]k_(?:live|test)_[0-9A-Za-z]{16,}"),
    Form("a key of SendGrid", ("SG.",), r"\bSG\.[\w-]{16,}\.[\w-]{16,}"),
    Form(
        "an access token of a cloud service",
        (
            *("dop_v1_", "hvs.", "dapi", "r8_", "gsk_", "xai-", "dckr_pat_", "KGAT_", "lin_api_"),
            *("nvapi-", "tgp_v1_", "pplx-", "glsa_", "shpat_", "sl."),
        ),
        r"\b(?:dop_v1_[0-9a-f]{40,}|hvs\.[\w-]{20,}|dapi[0-9a-f]{32}|r8_[A-Za-z0-9]{30,}"
        r"|gsk_[A-Za-z0-9]{30,}|xai-[A-Za-z0-9]{40,}|dckr_pat_[\w-]{20,}|KGAT_[0-9a-f]{32}"
        r"|lin_api_[A-Za-z0-9]{30,}|nvapi-[\w-]{40,}|tgp_v1_[\w-]{30,}|pplx-[A-Za-z0-9]{40,}"
        r"|glsa_\w{30,}|shpat_[0-9a-f]{32}|sl\.[\w.-]{120,})",
    ),
    Form("an access token of Telegram", (":AA",), r"\b\d{8,10}:AA[A-Za-z0-9_-]{32,34}"),
    Form(
        "an account key of Azure",
        ("AccountKey=", "SharedAccessKey="),
        r"\b(?:AccountKey|SharedAccessKey)=(?P<secret>[A-Za-z0-9+/]{30,}={0,2})",
    ),
    Form(
        "a header with credentials",
        ("earer", "asic ", "uthorization"),
        r"\b(?:[Bb]earer|[Bb]asic|[Aa]uthorization[\"']?\s{0,3}:\s{0,3}[\"']?[A-Za-z]{3,20})\s{1,9}"
        r"(?P<secret>[A-Za-z0-9._~+/-]{16,}=*)",
        _value_looks_drawn,
    ),
    Form(
        "a key of AWS",
        ("ecret",),
        r"\baws_?[Ss]ecret_?[Aa]ccess_?[Kk]ey[\"']?[\s=:\"']{1,5}(?P<secret>[A-Za-z0-9/+]{40})\b",
    ),
    Form(
        "a key of Kaggle",
        ("username",),
        r"\"username\":\s{0,9}\"[^\"]{1,99}\",\s{0,9}\"key\":\s{0,9}\"(?P<secret>[0-9a-f]{32})\"",
    ),
    Form(
        "the signature of an address",
        ("-Amz-", "-Goog-", "-amz-", "-goog-"),
        r"\b[Xx]-(?:[Aa]mz|[Gg]oog)-(?:[Ss]ignature|[Cc]redential|[Ss]ecurity-[Tt]oken)="
        r"(?P<secret>[^\s&#\"'<>]{4,})",
    ),
)
"""Credentials that services issue, and signatures."""

SIGNED_QUERY = frozenset(
    (
        *("sig", "signature", "hmac", "sas", "token", "accesstoken", "authtoken", "idtoken"),
        *("refreshtoken", "privatetoken", "auth", "apikey", "secret", "clientsecret", "password"),
        *("passwd", "pwd", "pass", "passphrase", "jwt", "session", "sessionid", "bearer"),
        *("jsessionid", "phpsessid", "sessiontoken", "accesskey", "secretkey"),
        *("awsaccesskeyid", "googleaccessid", "xamzsignature", "xamzcredential", "credential"),
        *("xamzsecuritytoken", "xgoogsignature", "xgoogcredential", "credentials"),
    )
)
"""Names in a query, without signs between their words, whose value lets others in."""

SECRET_WORDS = frozenset(
    (
        *("TOKEN", "SECRET", "SECRETS", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL"),
        *("CREDENTIALS", "APIKEY", "COOKIE", "COOKIES", "JWT", "PASSWORT", "KENNWORT"),
    )
)
"""Words of a name that make it one of a secret."""
KEY_OF = frozenset(
    (
        *("API", "ACCESS", "PRIVATE", "AUTH", "SECRET", "SIGNING", "ENCRYPTION", "MASTER"),
        *("ACCOUNT", "SSH", "DEPLOY"),
    )
)
ENDS = (
    *("PASSWORD", "PASSWD", "PASSPHRASE", "APIKEY", "SECRET", "TOKEN", "SECRETKEY", "ACCESSKEY"),
    *("PRIVATEKEY", "PRIVKEY", "MOTDEPASSE"),
)
"""Suffixes of a name's last word, also in compounds (`DBPASSWORD`)."""
LAST_WORDS = frozenset(("KEY", "PASS", "PASSE", "PW", "PWD", "PAT"))
"""Words that do so at the end of a name."""
NO_SECRET_AFTER = frozenset(
    (
        *("PAD", "EOS", "BOS", "UNK", "SEP", "CLS", "MASK", "MAX", "MIN", "NUM", "PER", "SPECIAL"),
        *("IMAGE", "AUDIO", "VIDEO", "NEXT", "START", "STOP", "END", "BOI", "EOI", "IMPLICIT"),
        *("SORT", "PRIMARY", "FOREIGN", "CACHE", "PUBLIC", "PARTITION", "GROUP", "HOT", "MAP"),
        *("DICT", "OLD"),
    )
)
"""`PAD_TOKEN` is a word of a vocabulary, `PUBLIC_KEY` is meant to be seen."""
PLACES = frozenset(
    (
        *("FILE", "PATH", "DIR", "FOLDER", "SOCK", "HELPER", "URL", "URI", "NAME", "TYPE"),
        *("ID", "IDS"),
    )
)
"""Last words of names that say where a secret is (`PASSWORD_FILE`) or of which kind."""
NO_VALUE = frozenset(("0", "1", "true", "false", "yes", "no", "on", "off", "none", "null"))
OPTIONS = frozenset(
    ("token", "password", "passwd", "secret", "api-key", "apikey", "passphrase", "access-token")
)
"""Options of commands that a secret follows."""
