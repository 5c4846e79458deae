"""Which arithmetic a device does well."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from audiobuff_core.errors import InvalidConfig

Precision = Literal["auto", "bf16", "fp16", "fp32"]


def usable_device(name: str) -> torch.device:
    """The torch device of this name, `auto` being the best there is.

    Raises:
        InvalidConfig: it is not on this machine, or no device at all.
    """
    if name == "auto":
        mps = torch.backends.mps.is_available()
        name = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InvalidConfig(f"--device {name} can't be used here: choose cpu or auto") from error


def resolve_precision(precision: Precision, device: torch.device) -> Literal["bf16", "fp16", "fp32"]:
    """`precision`, with `auto` settled: bf16 where the hardware multiplies it, else fp16 on GPUs, else fp32."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return "bf16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "fp32"


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The autocast context of a resolved `precision` on `device`; nothing for fp32."""
    chosen = resolve_precision(precision, device)
    if chosen == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16 if chosen == "bf16" else torch.float16)
