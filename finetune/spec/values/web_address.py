"""Web addresses from users: parsed, and free of secrets.

An address of a machine of one's own network is recognised by its name (`localhost`, `10.0.0.5`,
`files.internal`). Whether a public name leads there is checked when it is fetched
(finetune/sources/hosts.py).
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator

from finetune.errors import Unfit
from finetune.messages import Sentence, problem, sentence
from finetune.output.secrets import hide, secrets_in

_PRIVATE_ENDS = (
    *(".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa", ".corp", ".private"),
)
_HOST = re.compile(
    r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_HTTP = ("http", "https")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def fetched_address(text: str) -> str:
    """Return the address of a file that `finetune fetch` may get; ValueError if it is none.

    https; http only from a machine of one's own network. No user, no password, no signature.

    >>> fetched_address("https://example.org/a.txt")
    'https://example.org/a.txt'
    """
    parts = _parsed(text)
    if parts.scheme != "https" and not is_private_name(host_of(text)):
        raise _unfit(
            "not-https",
            text,
            sentence(
                "only https; http is for a machine of your own network (localhost, an address such "
                "as 10.0.0.5, a name such as files.internal)"
            ),
        )
    return text


def is_page(text: str) -> bool:
    """Return whether a text is the address of a page, which may become a link: https or http only.

    >>> is_page("http://example.org/terms"), is_page("javascript:alert(1)"), is_page("LICENSE.md")
    (True, False, False)
    """
    try:
        _parsed(text)
    except ValueError:
        return False
    return True


def host_of(text: str) -> str:
    """Return the host of an address in small letters, as DNS spells it, without a last dot.

    Raises ValueError if there is none.

    >>> host_of("https://WWW.Exämple.org.:8443/x"), host_of("http://[::1]/x")
    ('www.xn--exmple-cua.org', '::1')
    """
    host = (urlsplit(text).hostname or "").removesuffix(".")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise Unfit(problem("no-host", "{host!r} is no name of a host", host=host)) from None
    if not host:
        raise Unfit(problem("no-host", "there is no host in it"))
    return host.lower()


def port_of(text: str) -> int:
    """Return the port that an address leads to; ValueError for one that no machine has."""
    parts = urlsplit(text)
    return parts.port or (443 if parts.scheme == "https" else 80)


def ip_of(host: str) -> Address | None:
    """Return the IP address that a host is, None for a name.

    >>> ip_of("10.0.0.5"), ip_of("example.org")
    (IPv4Address('10.0.0.5'), None)
    """
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def is_number(host: str) -> bool:
    """True if a host is an IPv4 address in any form: 2130706433, 0x7f.1, 0177.0.0.1, 127.0.0.1.

    >>> is_number("0x7f.1"), is_number("example.org")
    (True, False)
    """
    last = host.rpartition(".")[2]
    return last.isdigit() or bool(re.fullmatch("0x[0-9a-f]*", last))


def is_private_name(host: str) -> bool:
    """Return whether a host name belongs to one's own machine or network.

    >>> [is_private_name(h) for h in ("localhost", "192.168.1.2", "files.internal", "example.org")]
    [True, True, True, False]
    """
    address = ip_of(host)
    if address is not None:
        return not is_public(address)
    return host == "localhost" or "." not in host or host.endswith(_PRIVATE_ENDS)


def is_public(address: Address) -> bool:
    """Return whether an IP address is one of the public internet, whatever form it has.

    >>> [is_public(ipaddress.ip_address(a)) for a in ("93.184.215.14", "::ffff:10.0.0.1")]
    [True, False]
    """
    plain = unwrapped(address)
    old = isinstance(plain, ipaddress.IPv6Address) and plain.is_site_local
    return plain.is_global and not plain.is_multicast and not plain.is_reserved and not old


def is_never_meant(address: Address) -> bool:
    """True if no file of a corpus lies there: link-local (metadata of clouds), multicast, none.

    >>> is_never_meant(ipaddress.ip_address("169.254.169.254"))
    True
    """
    plain = unwrapped(address)
    odd = plain.is_link_local or plain.is_multicast or plain.is_unspecified
    return odd or plain in _METADATA


_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def unwrapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address carries (mapped, 6to4, NAT64), or itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    compatible = 1 < int(address) < 2**32  # ::127.0.0.1, out of use
    if address in _NAT64 or compatible:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _parsed(text: str) -> SplitResult:
    """Return the parts of a sound address; Unfit with the reason, without the secret."""
    if not text.isprintable() or re.search(r"[\s\\<>\"`]", text):
        why = sentence("contains a space, quote, backslash or invisible character")
        raise _unfit("odd-character-in-address", text, why)
    try:
        parts = urlsplit(text)
        if parts.scheme not in _HTTP:
            raise Unfit(problem("no-web-address", "a web address begins with https:// or http://"))
        host, port = host_of(text), parts.port
    except ValueError as error:
        # before the reason, which may quote a part of a password that no parser expects
        if found := secrets_in(text):
            raise _secret(_shown(text), found[0].kind) from None
        cause = error.problem if isinstance(error, Unfit) else str(error)
        raise _unfit(
            "no-web-address", text, sentence("is no web address ({why})", why=cause)
        ) from None
    if "@" in parts.netloc:
        raise _secret(_shown(host), sentence("a user or password"))
    if found := secrets_in(text):
        raise _secret(_shown(host), found[0].kind)
    address = ip_of(host)
    if address is not None and is_never_meant(address):
        reason = sentence("{host} is an address of machines, not of files", host=host)
        raise _unfit("address-of-machines", text, reason)
    odd = is_number(host) or not _HOST.fullmatch(host) or len(host) > 253
    strange = not parts.netloc.isascii() or "%" in host
    bracketed = "[" in parts.netloc and not isinstance(address, ipaddress.IPv6Address)
    if (address is None and odd) or (address is not None and strange) or bracketed:
        reason = sentence(
            "{host!r} is no name of a host and no usual IP address", host=_shown(host)
        )
        raise _unfit("no-usual-host", text, reason)
    if port == 0:
        raise _unfit("no-such-port", text, sentence("there is no port 0"))
    return parts


def _unfit(code: str, text: str, why: Sentence) -> Unfit:
    return Unfit(problem(code, "{address!r}: {why}", address=_shown(text), why=why))


def _secret(address: str, kind: Sentence | str) -> Unfit:
    return Unfit(
        problem(
            "secret-in-address",
            "{address!r}: contains {kind}; addresses are published with the card, so put nothing "
            "secret into one. A file that needs a password belongs beside the card (source.kind: "
            "files)",
            address=address,
            kind=kind,
        )
    )


def _shown(text: str) -> str:
    plain = hide(text)
    return plain if len(plain) <= 200 else f"{plain[:150]}..."


FetchedAddress = Annotated[str, AfterValidator(fetched_address)]
