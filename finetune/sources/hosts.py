"""Hosts that an address of a card may lead to: public ones, and named private ones.

A card could otherwise make this machine send requests to its own services, or those of its network.
 A name is resolved here once, and the connection goes to the address that was looked at.
"""

from __future__ import annotations

import os
import socket
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlsplit

from finetune.errors import InputError, StoreError
from finetune.messages import Place, problem
from finetune.sources.hub_fetch import endpoint
from finetune.sources.npm_registry import registry_of
from finetune.spec.values import web_address
from finetune.spec.values.web_address import (
    host_of,
    ip_of,
    is_never_meant,
    is_number,
    is_public,
    port_of,
)

PRIVATE_HOSTS = "FINETUNE_PRIVATE_HOSTS"
"""The variable that names hosts of one's own network, with commas between."""


@dataclass(frozen=True, slots=True)
class Target:
    """Target of a request."""

    host: str
    port: int
    addresses: tuple[str, ...]
    """IP addresses of the host, checked; empty if a proxy resolves the host."""
    proxy: str | None = None


def target_of(address: str, *, named: str, at: Place) -> Target:
    """Return where an address leads; `named` is the one in the card, and names its own host.

    Raises:
        InputError: to a machine of a private network that nothing names.
        StoreError: unknown host, e.g. without network.
    """
    host, port = host_of(address), port_of(address)
    if is_number(host) and ip_of(host) is None:  # 2130706433 is the loopback in another form
        raise _refusal(at, host, address=host)
    is_named = _is_named(host, port, named=named)
    proxy = _proxy_for(address, host)
    if proxy is not None:
        literal = ip_of(host)
        if literal is not None and is_never_meant(literal):
            raise _refusal(at, host, address=str(literal))
        if web_address.is_private_name(host) and not is_named:
            raise _refusal(at, host, address=host)
        return Target(host, port, (), proxy)
    found = _resolved(host, port, at=at)
    fitting = tuple(one for one in found if _may(one, is_named=is_named))
    if not fitting:
        raise _refusal(at, host, address=found[0])
    return Target(host, port, fitting)


def _may(address: str, *, is_named: bool) -> bool:
    ip = ip_of(address)
    return ip is not None and not is_never_meant(ip) and (is_named or is_public(ip))


def _is_named(host: str, port: int, *, named: str) -> bool:
    """Return whether card, endpoint or environment name a private host, or a service on it."""
    if web_address.is_private_name(host) and _service(named) == (host, port):
        return True
    if (host, port) in (_service(endpoint()), _service(registry_of())):
        return True
    listed = os.environ.get(PRIVATE_HOSTS, "").split(",")
    return host in {name.strip().lower().removesuffix(".") for name in listed}


def _service(address: str) -> tuple[str, int] | None:
    """Return host and port of an address; None for an invalid one, e.g. an odd HF_ENDPOINT."""
    try:
        return host_of(address), port_of(address)
    except ValueError:
        return None


def _resolved(host: str, port: int, *, at: Place) -> tuple[str, ...]:
    if ip_of(host) is not None:
        return (host,)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise StoreError(
            problem(
                "no-network",
                "cannot be fetched ({host!r} is not found: {why}); run `finetune fetch` on a "
                "machine with network access",
                at=at,
                host=host,
                why=str(error),
            )
        ) from None
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def _proxy_for(address: str, host: str) -> str | None:
    """Return the proxy that the environment (HTTPS_PROXY, NO_PROXY) sets for an address."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(urlsplit(address).scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _refusal(at: Place, host: str, *, address: str) -> InputError:
    target = host if host == address else f"{host} ({address})"
    return InputError(
        problem(
            "private-network",
            "leads to {target}, a machine of a private network. Only the card itself may name such "
            "a machine as its source (localhost, an IP address, a name such as files.internal); if "
            "it is your own, allow it: export {variable}={host}",
            at=at,
            target=target,
            variable=PRIVATE_HOSTS,
            host=host,
        )
    )
