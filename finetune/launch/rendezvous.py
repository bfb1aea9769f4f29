"""The place where the ranks of a launch by srun meet: hosts and port in a file of the shared store.

Rank 0 listens on a port that its kernel chooses and writes the file, whole or not at all; the
others look for it. So no port is computed, none can be in use, and the hosts may be names or
addresses of IPv4 or IPv6. A file belongs to one launch: that of an earlier attempt is not read.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from finetune.errors import RendezvousError
from finetune.launch.ranks import LAUNCH, Ranks
from finetune.messages import problem
from finetune.output.durable import replace_text

VARIABLE = "FINETUNE_RENDEZVOUS"
"""Environment variable of batch scripts: the file of this attempt. Default: in the workspace."""
HOST_SUFFIX = "FINETUNE_HOST_SUFFIX"
"""Environment variable of batch scripts: the site's `host_suffix`."""
INTERFACES = "GLOO_SOCKET_IFNAME"
SUFFIX = ".rendezvous"
LOOPBACK = ("127.0.0.1", "::1")
MOST_BYTES = 64 * 1024
PROBE_SECONDS = 2.0
_OF_ONE_MACHINE = ("lo", "docker", "virbr", "veth", "br-")
"""Beginnings of interfaces whose addresses mean another thing on every machine."""


@dataclass(frozen=True, slots=True)
class Address:
    """Hosts and port of rank 0 of a launch."""

    launch: str
    hosts: tuple[str, ...]
    """Names and addresses of its machine, the likeliest first."""
    port: int

    def __str__(self) -> str:
        """Return it for people.

        >>> str(Address("l", ("node1", "fd00::1"), 4000))
        'node1:4000, [fd00::1]:4000'
        """
        shown = [f"[{host}]" if ":" in host else host for host in self.hosts]
        return ", ".join(f"{host}:{self.port}" for host in shown)


def file_of(folder: Path, environment: Mapping[str, str] | None = None) -> Path | None:
    """Return the file through which this launch meets; None if its launcher gives an address.

    `folder`: one that all ranks know; the launch is part of the name.
    """
    found = os.environ if environment is None else environment
    if LAUNCH not in found:
        return None
    named = found.get(VARIABLE)
    return Path(named) if named else folder / f"{found[LAUNCH]}{SUFFIX}"


def announce(path: Path, address: Address) -> None:
    """Write the file of a launch atomically, in place of that of an earlier one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps(asdict(address)) + "\n")


def announced(path: Path, *, launch: str) -> Address | None:
    """Return where rank 0 of this launch listens; None if it has not said so yet."""
    from finetune.output.small_files import UnreadableError, read_json  # pydantic is slow to start

    with suppress(OSError, UnreadableError):
        address = read_json(path, Address, max_bytes=MOST_BYTES)
        return address if address.launch == launch else None
    return None


def reachable(address: Address, *, seconds: float = PROBE_SECONDS) -> str | None:
    """Return the first host of an address that accepts a connection from here, if any does."""
    for host in address.hosts:
        with (
            suppress(OSError, UnicodeError),
            socket.create_connection((host, address.port), timeout=seconds),
        ):
            return host
    return None


def own_hosts(
    ranks: Ranks,
    *,
    interfaces: Mapping[str, Sequence[str]],
    environment: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """Return the names and addresses under which other ranks may reach this machine.

    `interfaces`: the addresses of each network interface. What the site chose (an interface, a
    suffix of host names) is the only way; otherwise the node's name, then its full name, then its
    addresses. Raises RendezvousError for an interface that this machine has not.

    >>> lan = {"lo": ["127.0.0.1"], "ib0": ["10.0.0.7", "fe80::1%ib0"], "docker0": ["172.17.0.1"]}
    >>> own_hosts(Ranks(world=4, local_world=2), interfaces=lan,
    ...           environment={"GLOO_SOCKET_IFNAME": "ib0"})
    ('10.0.0.7',)
    """
    found = os.environ if environment is None else environment
    chosen = [name for name in found.get(INTERFACES, "").split(",") if name]
    if chosen:
        return _of_interfaces(chosen, interfaces)
    if ranks.local_world == ranks.world:
        return LOOPBACK
    node, full = found.get("SLURMD_NODENAME") or socket.gethostname(), socket.getfqdn()
    suffix = found.get(HOST_SUFFIX, "")
    if suffix:
        short, dot, domain = (full if full.startswith(node) else node).partition(".")
        names = [short + suffix, *([f"{short}{suffix}.{domain}"] if dot else [])]
        return tuple(names)
    addresses = [
        address
        for name, several in interfaces.items()
        if not name.startswith(_OF_ONE_MACHINE)
        for address in several
        if _may_be_reached(address)
    ]
    names = [name for name in (node, full) if name not in ("localhost", "localhost.localdomain")]
    return tuple(dict.fromkeys([*names, *addresses]))


def _of_interfaces(
    chosen: Sequence[str], interfaces: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    several = [a for name in chosen for a in interfaces.get(name, ())]
    usable = [a for a in several if not a.startswith("fe80:")]
    if not usable:
        raise RendezvousError(
            problem(
                "no-such-interface",
                "{host} has no address on the network interface {interface} (`interface` of the "
                "site, or {variable}); its interfaces: {known}",
                host=socket.gethostname(),
                interface=",".join(chosen),
                variable=INTERFACES,
                known=sorted(interfaces),
            )
        )
    return tuple(usable)


def _may_be_reached(address: str) -> bool:
    return not address.startswith(("127.", "fe80:", "169.254.")) and address != "::1"
