"""The file through which the ranks of a launch meet."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from finetune.errors import RendezvousError
from finetune.launch import rendezvous
from finetune.launch.ranks import LAUNCH, Ranks
from finetune.launch.rendezvous import Address, announce, announced, file_of, own_hosts, reachable

INTERFACES = {
    "lo": ["127.0.0.1", "::1"],
    "eth0": ["10.1.0.7", "fe80::1%eth0"],
    "ib0": ["fd00::7", "10.2.0.7"],
    "docker0": ["172.17.0.1"],
    "down0": [],
}
FOUR = Ranks(rank=0, world=4, local_rank=0, local_world=2, launched=True)


def hosts(ranks: Ranks = FOUR, **environment: str) -> tuple[str, ...]:
    return own_hosts(ranks, interfaces=INTERFACES, environment=environment)


def test_a_launch_reads_its_own_file_and_none_of_an_earlier_one(tmp_path):
    """A requeued job finds the file of its former attempt in the folder that it goes on in."""
    path = tmp_path / "attempts/r.json"
    assert announced(path, launch="b") is None
    announce(path, Address("a", ("node1",), 4000))
    assert announced(path, launch="a") == Address("a", ("node1",), 4000)
    assert announced(path, launch="b") is None
    announce(path, Address("b", ("fd00::1",), 4001))
    assert announced(path, launch="b") == Address("b", ("fd00::1",), 4001)
    for damage in ("", "{", "[]", '{"launch": "b"}', "x" * 100_000):
        path.write_text(damage)
        assert announced(path, launch="b") is None


def test_the_file_is_that_of_the_attempt_or_named_by_the_launch(tmp_path):
    """torchrun's ranks have an address and no file."""
    assert file_of(tmp_path, {}) is None
    assert file_of(tmp_path, {"RANK": "0", rendezvous.VARIABLE: "/x"}) is None
    named = file_of(tmp_path, {LAUNCH: "slurm-7-0-1"})
    assert named == tmp_path / "slurm-7-0-1.rendezvous"
    assert file_of(tmp_path, {LAUNCH: "slurm-7-0-1", rendezvous.VARIABLE: "/x"}) == Path("/x")


def test_hosts_are_those_that_the_site_chose_and_else_everything_that_may_lead_here():
    """Names before addresses; nothing that means another machine elsewhere."""
    assert hosts(GLOO_SOCKET_IFNAME="ib0") == ("fd00::7", "10.2.0.7")
    assert hosts(GLOO_SOCKET_IFNAME="nope,eth0") == ("10.1.0.7",)
    assert hosts(SLURMD_NODENAME="jwb7", FINETUNE_HOST_SUFFIX="i")[0] == "jwb7i"
    found = hosts(SLURMD_NODENAME="node7")
    assert found[0] == "node7"
    assert found[-3:] == ("10.1.0.7", "fd00::7", "10.2.0.7")
    one_machine = Ranks(rank=0, world=2, local_rank=0, local_world=2, launched=True)
    assert hosts(one_machine, SLURMD_NODENAME="node7") == ("127.0.0.1", "::1")


@pytest.mark.parametrize("name", ["ib7", "down0"])
def test_an_interface_without_an_address_is_named_with_those_that_are_here(name):
    """A node whose InfiniBand is down must not wait for ten minutes."""
    with pytest.raises(RendezvousError) as refused:
        hosts(GLOO_SOCKET_IFNAME=name)
    assert name in str(refused.value)
    assert "eth0" in str(refused.value)


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_the_first_host_that_answers_is_taken(family, host):
    """Over IPv4 and IPv6; names that do not resolve and closed ports are skipped."""
    with socket.socket(family) as listener:
        try:
            listener.bind((host, 0))
        except OSError:
            pytest.skip(f"no {host} on this machine")
        listener.listen()
        port = listener.getsockname()[1]
        found = reachable(
            Address("a", ("no-such-host.invalid", "192.0.2.1", host), port), seconds=0.2
        )
        assert found == host
    assert reachable(Address("a", (host,), port), seconds=0.2) is None
