"""Integer codes of a codec that has codebooks."""

from torch import Tensor

from audiobuff_core.errors import InvalidAudio


def check_codes(codes: Tensor, codebook_size: int, name: str) -> None:
    """Refuse `codes` [..., codebooks] that are not those of encoder `name`: the look-up would take some other entry.

    Raises:
        InvalidAudio: a code outside 0 to `codebook_size` - 1.
    """
    if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < codebook_size:
        raise InvalidAudio(
            f"Codes from {int(codes.min())} to {int(codes.max())}: {name} has 0 to {codebook_size - 1}; they are of "
            "another codec, or damaged"
        )
