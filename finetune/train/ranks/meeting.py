"""The rendezvous of the ranks of a launch, over torch's TCP store."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import psutil
import torch.distributed as dist

from finetune.errors import RendezvousError, first_line
from finetune.launch.ranks import LAUNCH, Ranks
from finetune.launch.rendezvous import LOOPBACK, Address, announce, announced, own_hosts, reachable
from finetune.messages import Sentence, problem, sentence
from finetune.output.terminal import aside
from finetune.train.stop import StopFlag, stopped_on_request

CONNECT_TIMEOUT = timedelta(seconds=5)
POLL_SECONDS = 0.1
SILENT_SECONDS = 30.0
SAY_AGAIN_SECONDS = 60.0
_MOST_NAMED = 8


@dataclass(slots=True)
class Meeting:
    """One rank's way to the others of its launch; owns the connection to rank 0.

    `file`: where rank 0 says its address; None: the launcher gave it (MASTER_ADDR, MASTER_PORT).
    """

    ranks: Ranks
    file: Path | None
    say: Callable[[Sentence], None]
    address: str = ""
    """Hosts and port of rank 0, for people."""
    _store: dist.Store | None = field(default=None, init=False)

    def wait(self, *, stop: StopFlag, timeout: timedelta) -> dist.Store:
        """Return the store once all ranks have come to it.

        Looked at again and again, because torch's own waiting would not see a signal. Raises
        Stopped or RendezvousError; the latter at once where rank 0 cannot listen.
        """
        begun = time.monotonic()
        said_at, why = begun + SILENT_SECONDS, ""
        while (now := time.monotonic()) < begun + timeout.total_seconds():
            if stop.reason is not None:
                raise stopped_on_request(
                    sentence("before training began"), reason=stop.reason, saved=False
                )
            if now > said_at:
                said_at = now + SAY_AGAIN_SECONDS
                self._tell(now - begun)
            try:
                if self._store is None:
                    self._store, why = self._connected(), ""
                if self._store is not None and self._came() >= self.ranks.world:
                    self._over()
                    return self._store
            except RuntimeError as error:  # rank 0 is not there yet, or not any more
                why = first_line(error)
                if self._opens and self._store is None:
                    break
                self._store = None
            time.sleep(POLL_SECONDS)
        raise self.failed(why or self._who_is_missing())

    def _who_is_missing(self) -> str:
        """Name the ranks that did not come; rank 0 may have given up, and its store be gone."""
        try:
            return self._missing_in_words()
        except RuntimeError as error:
            return first_line(error)

    def failed(self, why: str) -> RendezvousError:
        """Return the error of a rendezvous that did not come about."""
        return RendezvousError(
            problem(
                "rendezvous-failed",
                "rank {rank:d} of {ranks:d} on {host}: no rendezvous at {address} ({why}). Check "
                "that the nodes reach each other there; the network is chosen by `interface` or "
                "`host_suffix` of the site, and `finetune doctor` tests it between nodes",
                rank=self.ranks.rank,
                ranks=self.ranks.world,
                host=socket.gethostname(),
                address=self.address or self._place(),
                why=why,
            )
        )

    def _connected(self) -> dist.Store | None:
        """Return the store, if rank 0 has opened it; this rank is then counted."""
        store: dist.Store
        if self.file is None:
            self.address = self._place()
            store = _tcp_store(
                os.environ.get("MASTER_ADDR", LOOPBACK[0]),
                int(os.environ.get("MASTER_PORT", "0")),
                opens=self._opens,
            )
        elif self.ranks.is_main:
            store = self._opened(self.file)
        else:
            found = self._found(self.file)
            if found is None:
                return None
            store = found
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        counted = dist.PrefixStore(f"finetune/{attempt}", store)
        counted.set(f"rank-{self.ranks.rank}", socket.gethostname())
        counted.add("ranks", 1)
        return counted

    def _opened(self, file: Path) -> dist.Store:
        """Listen on a free port, and say where."""
        host = LOOPBACK[0] if _is_there(LOOPBACK[0]) else LOOPBACK[1]
        store = _tcp_store(host, 0, opens=True)
        interfaces = {
            name: [
                one.address for one in several if one.family in (socket.AF_INET, socket.AF_INET6)
            ]
            for name, several in psutil.net_if_addrs().items()
        }
        hosts = own_hosts(self.ranks, interfaces=interfaces)
        address = Address(launch=os.environ[LAUNCH], hosts=hosts, port=int(store.port))
        store.set("launch", address.launch)
        announce(file, address)
        self._reached(address, hosts[0])
        return store

    def _found(self, file: Path) -> dist.Store | None:
        """Return the store that rank 0 of this launch has opened, if it is there."""
        address = announced(file, launch=os.environ[LAUNCH])
        if address is None:
            return None
        self.address = str(address)
        host = reachable(address)
        if host is None:
            return None
        store = _tcp_store(host, address.port, opens=False)
        if not store.check(["launch"]) or store.get("launch").decode() != address.launch:
            return None
        self._reached(address, host)
        return store

    def _reached(self, address: Address, host: str) -> None:
        """Keep the address; Accelerate and DeepSpeed ask for it by these names."""
        self.address = str(address)
        os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = host, str(address.port)

    @property
    def _opens(self) -> bool:
        """Return whether this rank listens; torchrun may do it itself."""
        hosted = self.file is None and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        return self.ranks.is_main and not hosted

    def _came(self) -> int:
        assert self._store is not None  # noqa: S101, the caller looked
        return int(self._store.add("ranks", 0))

    def _over(self) -> None:
        if self.file is not None and self.ranks.is_main:
            self.file.unlink(missing_ok=True)

    def _place(self) -> str:
        if self.file is None:
            found = os.environ
            return f"{found.get('MASTER_ADDR', LOOPBACK[0])}:{found.get('MASTER_PORT', '0')}"
        return str(self.file)

    def _missing(self) -> list[int]:
        if self._store is None:
            return [0]
        others = range(self.ranks.world)
        return [rank for rank in others if not self._store.check([f"rank-{rank}"])]

    def _missing_in_words(self) -> str:
        missing = self._missing()
        named = ", ".join(map(str, missing[:_MOST_NAMED]))
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        return f"missing: rank {named}{more}"

    def _tell(self, seconds: float) -> None:
        """Say who is missing: rank 0, and on standard error each rank that cannot reach it."""
        if self._store is not None:
            if self.ranks.is_main:
                self.say(
                    sentence(
                        "waiting for {n} of {m} ranks since {seconds:.0f} s at {address} "
                        "({missing})",
                        n=len(self._missing()),
                        m=self.ranks.world,
                        seconds=seconds,
                        address=self.address,
                        missing=self._missing_in_words(),
                    )
                )
            return
        aside(
            f"rank {self.ranks.rank} on {socket.gethostname()}: waiting for rank 0 since "
            f"{seconds:.0f} s, at {self.address or self._place()}"
        )


def _tcp_store(host: str, port: int, *, opens: bool) -> dist.TCPStore:
    return dist.TCPStore(
        host, port, is_master=opens, timeout=CONNECT_TIMEOUT, wait_for_workers=False
    )


def _is_there(host: str) -> bool:
    """Return whether this machine has an IPv4 address."""
    with socket.socket() as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
        return True
