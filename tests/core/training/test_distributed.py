"""Which device and which exchange a rank gets, and what it says when the ranks can't meet."""

import signal
import socket

import pytest
import torch

from audiobuff_core.errors import InvalidConfig, RanksFailed
from audiobuff_core.training.distributed import Ranks, backend_for, joined_ranks, pick_device


def _machine(monkeypatch: pytest.MonkeyPatch, *, num_gpus: int = 0, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: num_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


def test_a_rank_takes_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, num_gpus=2)
    assert [pick_device(rank) for rank in range(3)] == [torch.device("cuda", index) for index in (0, 1, 0)]
    assert pick_device(0, "cpu") == torch.device("cpu")


def test_an_apple_device_trains_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, mps=True)
    assert pick_device(0) == torch.device("mps")
    assert pick_device(1, num_ranks=2) == torch.device("cpu")
    with pytest.raises(InvalidConfig, match="mps with 2 processes"):
        pick_device(1, "mps", num_ranks=2)


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch)
    assert pick_device(0) == torch.device("cpu")
    with pytest.raises(InvalidConfig, match="--device cuda: this machine has cpu"):
        pick_device(0, "cuda")


def test_gpus_exchange_by_nccl_and_all_else_by_gloo() -> None:
    assert backend_for(torch.device("cuda", 1)) == "nccl"
    assert backend_for(torch.device("cpu")) == "gloo"


def test_a_port_in_use_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        variables = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
        for name, value in (variables | {"MASTER_PORT": str(taken.getsockname()[1])}).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(RanksFailed, match=r"the port is in use.*--master_port") as raised, joined_ranks():
            pass
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("of_the_first", "same"), [([7.0, 3.0], True), ([7.0, 4.0], False)])
def test_ranks_agree_where_all_have_the_numbers_of_the_first(
    monkeypatch: pytest.MonkeyPatch, of_the_first: list[float], same: bool
) -> None:
    """Seen from rank 1 of 2; the exchange adds what the other one would."""

    def exchange(tensor: torch.Tensor) -> None:
        tensor += torch.tensor(of_the_first if len(tensor) == 2 else [0.0], dtype=torch.float64)

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", exchange)
    assert Ranks(1, 2, torch.device("cpu")).agree(7.0, 3.0) == same


def test_what_the_exchange_says_of_a_dead_rank_is_told_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda backend: None)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda number, handler: ignored.append((number, handler)))
    ignored: list[tuple] = []
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:3041"
    with pytest.raises(RanksFailed, match="Rank 1 of 2 lost another one"), joined_ranks():
        raise RuntimeError(said)
    assert ignored == [(signal.SIGTERM, signal.SIG_IGN)]  # so that torchrun lets it say so
    with pytest.raises(RuntimeError, match="shape"), joined_ranks():
        raise RuntimeError("shape mismatch")
