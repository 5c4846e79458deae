"""How much memory training takes, and what to do when there is not enough."""

from collections.abc import Iterator
from contextlib import contextmanager

from audiobuff_core.errors import OutOfMemory
from audiobuff_core.training.config import TrainingConfig


def remedies(config: TrainingConfig) -> str:
    """The four ways to need less memory, by the flags that do them, the harmless first."""
    batch = max(1, config.batch_size // 2)
    accumulation = -(-config.batch_size * config.grad_accum_steps // batch)
    return (
        f"--batch_size {batch} --grad_accum_steps {accumulation} (the same steps in smaller parts), "
        "--gradient_checkpointing (slower), --precision bf16 (or fp16), or "
        f"--segment_frames {max(2, config.segment_frames // 2)} (less context)"
    )


@contextmanager
def explained_shortage(config: TrainingConfig) -> Iterator[None]:
    """Turn running out of memory, on whatever device, into our error.

    Raises:
        OutOfMemory: naming the flags that need less.
    """
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        raise OutOfMemory(
            f"Out of memory at batch size {config.batch_size} x {config.segment_frames} frames, width "
            f"{config.d_model}, depth {config.depth}. Try {remedies(config)}"
        ) from error


def is_shortage(error: BaseException) -> bool:
    """Whether `error` is a device's way of saying that it is out of memory."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    # The CPU's allocator, Apple's devices and the libraries of NVIDIA raise a plain RuntimeError.
    words = ("out of memory", "can't allocate memory", "_status_alloc_failed")
    return isinstance(error, RuntimeError) and any(word in said for word in words)
