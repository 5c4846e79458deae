"""Training as torchrun starts it, and what it leaves."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

# Long enough to be interrupted: checkpoints come every fifth of a second.
LONG = ("--max_steps", "150", "--checkpoint_seconds", "0.2", "--save_every_epochs", "2")


def launch(snapshot: str, folder: Path, nproc: int, *options: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen:
    place = launcher or ("--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0")
    command = [
        sys.executable, "-m", "torch.distributed.run", *place, f"--nproc_per_node={nproc}", "-m",
        "audiobuff_core.training", "--snapshot", snapshot, "--checkpoint_dir", str(folder), "--profile", "test",
        *options,
    ]  # fmt: skip
    return subprocess.Popen(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen) -> tuple[int, str]:
    _, errors = process.communicate(timeout=280)
    return process.returncode, errors


def kill_family(process: subprocess.Popen) -> None:
    with suppress(psutil.NoSuchProcess):  # each may end by itself meanwhile
        root = psutil.Process(process.pid)
        for member in [root, *root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                member.kill()
    process.communicate(timeout=60)


def wait_for_new_checkpoint(process: subprocess.Popen, folder: Path) -> bool:
    """Whether one came before the process ended."""
    place = folder / "checkpoint_resume.pt"
    before = place.stat().st_mtime_ns if place.exists() else 0
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if place.stat().st_mtime_ns != before:
                return True
        except FileNotFoundError:
            pass
        time.sleep(0.01)
    return False


def files_in(folder: Path) -> dict[str, bytes]:
    return {place.name: place.read_bytes() for place in folder.iterdir() if place.name != "timing.json"}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
