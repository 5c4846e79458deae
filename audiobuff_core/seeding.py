"""Randomness as a pure function of its keys: the same words give the same draws, on every machine."""

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


def digest(*keys: Any) -> str:  # noqa: ANN401 - any JSON value
    """SHA-256 (64 hex digits) of the canonical JSON of `keys` (numbers, strings, lists, dicts, None)."""
    text = json.dumps(keys, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def numpy_generator(*keys: Any) -> np.random.Generator:  # noqa: ANN401
    """A NumPy generator that depends on `keys` alone."""
    return np.random.Generator(np.random.Philox(key=int(digest(*keys)[:32], 16)))


def torch_generator(*keys: Any) -> "torch.Generator":  # noqa: ANN401
    """A CPU torch generator that depends on `keys` alone."""
    import torch

    return torch.Generator().manual_seed(int(digest(*keys)[:15], 16))
