"""Addresses of people in a text: e-mail, IP, and web addresses that name an account.

Every pattern is bounded around a sign that starts it, so that time is linear in any text.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

Span = tuple[int, int, str]
"""Start, end, and what is put there instead."""

EMAIL_MASK = "name@example.org"
"""RFC 2606 reserves the domain for documentation."""
IPV4_MASK = "192.0.2.0"
"""RFC 5737: reserved for documentation."""
IPV6_MASK = "2001:db8::"
"""RFC 3849: reserved for documentation."""
_AT = re.compile(r"(?<=[\w\u0900-\u0dff])[@\uff20](?=[\w])")
_SPELT_AT = re.compile(r"(?<=\w)\s?[\[(]\s?(?:at|arobase?|@)\s?[\])]\s?(?=\w)", re.IGNORECASE)
"""`name (at) host (dot) org`, as people hide addresses from programs."""
_SPELT_DOMAIN = re.compile(
    r"[A-Za-z0-9-]{1,63}+"
    r"(?:(?:\.|\s?[\[(]\s?(?:dot|point|\.)\s?[\])]\s?)[A-Za-z0-9-]{2,63}+){1,5}(?![A-Za-z0-9-])",
    re.IGNORECASE,
)
_LOCAL_CHARACTERS = 64
"""RFC 5321, section 4.5.3.1."""
_LOCAL = re.compile(r"[A-Za-z0-9_%+-](?:[A-Za-z0-9._%+'-]*[A-Za-z0-9_%+-])?\Z")
_LOCAL_OTHER = re.compile(r"[^\s@<>()\[\]{},;:\"'\\/|\x00-\x7f][^\s@<>()\[\]{},;:\"'\\/|]*\Z")
_INDIAN_ENDS = (
    "भारत भारतम् भारोत ভারত ভাৰত ਭਾਰਤ ભારત ଭାରତ இந்தியா భారత్ ಭಾರತ ഭാരതം بھارت بارت ڀارت "
    "বাংলা ලංකා இலங்கை پاکستان"
)
"""Top-level domains of South Asia in its scripts (IANA root zone)."""
_DOMAIN = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}+\.){1,8}[A-Za-z]{2,24}+(?![A-Za-z0-9-])"
    rf"|(?:[^\s@.,;:/<>()\"']{{1,63}}+\.){{1,4}}(?:{'|'.join(_INDIAN_ENDS.split())})"
)
_RESERVED = re.compile(
    r"(?:^|\.)(?:example\.(?:com|net|org|edu)|example|test|invalid|localhost)\Z", re.IGNORECASE
)
"""Reserved domains (RFC 2606 and 6761)."""

_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)", re.ASCII)
_VERSION = re.compile(
    r"(?:\bv(?:er(?:sion)?)?\.?|§|\bsection|\brelease|\bbuild)\s*\Z", re.IGNORECASE
)
_SMALL_OCTET = 32
"""Four numbers that are all smaller are taken for a chapter or a version."""
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{3,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])", re.ASCII)
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")

_SITES = (
    r"(?:(?:facebook|instagram|twitter|x|tiktok|github|gitlab|medium|patreon|pinterest|vk|threads"
    r"|soundcloud)\.(?:com|net)/|snapchat\.com/add/|t\.me/|wa\.me/|linkedin\.com/in/"
    r"|youtube\.com/user/|reddit\.com/u(?:ser)?/)"
)
"""Sites whose first part of a path is the name of an account."""
_URL = re.compile(
    r"(?:(?<!\w)(?:https?|ftp)://|(?<![\w@./])(?:www\.|(?:m\.)?" + _SITES + r"))[^\s<>\"']{1,2000}",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"\A(\w{1,10}://)([^/?#@\s]{1,200})@")
_ACCOUNT = re.compile(
    r"\A(?:\w{1,10}://)?(?:[\w-]{1,63}\.){0,4}" + _SITES + r"(@?[^/?#\s]{1,100})", re.IGNORECASE
)
_NO_ACCOUNT = frozenset(
    (
        "about",
        "accounts",
        "dialog",
        "events",
        "explore",
        "features",
        "groups",
        "hashtag",
        "help",
        "home",
        "i",
        "in",
        "intent",
        "legal",
        "login",
        "marketplace",
        "orgs",
        "p",
        "pages",
        "pg",
        "photo",
        "photo.php",
        "plugins",
        "policies",
        "policy",
        "posts",
        "privacy",
        "reel",
        "reels",
        "search",
        "settings",
        "share",
        "share.php",
        "sharer",
        "sharer.php",
        "signup",
        "status",
        "stories",
        "story.php",
        "terms",
        "topics",
        "tr",
        "trending",
        "tv",
        "watch",
    )
)
_PATH_ACCOUNT = re.compile(
    r"/(?:~|@|users?/|profiles?/|people/|membres?/|User:|Utilisateur:|Utilizador:)"
    r"([\w.%+-]{2,60})",
    re.IGNORECASE,
)
_PARAMETER = re.compile(
    r"[?&](?:user(?:name|_name|id|_id)?|login|e?mail|phone|name|uid)=([^&#\s]{1,200})",
    re.IGNORECASE,
)


def emails(text: str) -> Iterator[Span]:
    """Yield the e-mail addresses of a text.

    >>> [text for _, _, text in emails("ndeye@host.sn, a @ b, x@example.com")]
    ['name@example.org']
    >>> [text for _, _, text in emails("ndeye (at) host (dot) sn, look (at) it")]
    ['name@example.org']
    """
    for signs, domains in ((_AT, _DOMAIN), (_SPELT_AT, _SPELT_DOMAIN)):
        for at in signs.finditer(text):
            before = text[max(0, at.start() - _LOCAL_CHARACTERS) : at.start()]
            local = _LOCAL.search(before) or _LOCAL_OTHER.search(before)
            domain = domains.match(text, at.end())
            if local and domain and not _RESERVED.search(domain[0]):
                yield at.start() - len(local[0]), domain.end(), EMAIL_MASK


def ip_addresses(text: str) -> Iterator[Span]:
    """Yield the public IP addresses of a text: private and reserved ones are skipped.

    >>> [text for _, _, text in ip_addresses("41.82.130.7, 10.0.0.1, v1.2.3.40, 1.2.3.4")]
    ['192.0.2.0']
    """
    for found in _IPV4.finditer(text):
        if max(map(int, found[0].split("."))) < _SMALL_OCTET or _is_version(text, found.start()):
            continue
        if _is_public(found[0]):
            yield found.start(), found.end(), IPV4_MASK
    if "::" in text or ":" in text:
        for found in _IPV6.finditer(text):
            if _is_public(found[0]):
                yield found.start(), found.end(), IPV6_MASK


def _is_version(text: str, at: int) -> bool:
    return _VERSION.search(text[max(0, at - 12) : at]) is not None


def _is_public(written: str) -> bool:
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return False
    return address.is_global and (address.version == 4 or address in _GLOBAL_UNICAST)


def account_urls(text: str) -> Iterator[Span]:
    """Yield the parts of web addresses that name an account.

    >>> url = "https://facebook.com/awa.d https://facebook.com/share http://u:p@h.sn/~awa"
    >>> [url[start:end] for start, end, _ in account_urls(url)]
    ['awa.d', 'u:p@', 'awa']
    """
    for found in _URL.finditer(text):
        url = found[0].rstrip(".,;:!?)]}»”")
        for start, end in _account_parts(url):
            mask = "" if url[end - 1] == "@" else "@name" if url[start] == "@" else "name"
            if url[start:end] != mask:
                yield found.start() + start, found.start() + end, mask


def _account_parts(url: str) -> Iterator[tuple[int, int]]:
    taken = 0
    if user := _USERINFO.match(url):
        yield user.start(2), user.end(2) + 1  # with the @, or an e-mail address would be left
        taken = user.end(2) + 1
    site = _ACCOUNT.match(url)
    if site and site[1].lower() not in _NO_ACCOUNT:
        yield site.span(1)
        taken = site.end(1)
    for pattern in (_PATH_ACCOUNT, _PARAMETER):
        for part in pattern.finditer(url, taken):
            yield part.span(1)
            taken = part.end(1)
