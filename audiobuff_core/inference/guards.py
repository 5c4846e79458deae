"""Do no harm: what the network hardly changes, it holds to be intact, and then it stays as it was.

A network never answers with exactly nothing. Where its correction is under -40 dB of what is there, it is its way of
saying "nothing is wrong here", and taking it would only add the network's own error. So small corrections are left out
twice: of a band of the latents, where the codec has bands, and of all samples of a moment, which then come back bit
for bit. And a correction that is hardly larger than what the network itself expects to be wrong about it is not made.
All of it lives here, next to the network, and not in the file writer: whoever restores arrays or measures a model gets
what a user gets.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from audiobuff_core.audio.waveform import Samples

NEGLIGIBLE_DB = -40.0
# Below the rounding of 16 bits, whatever the sound around it.
INAUDIBLE_DB = -96.0
FRAME_SECONDS = 0.05
BAND_FRAMES = 5
DOUBT_SECONDS = 1.0
# What a correction must be above the network's own doubt of it: one that is as steady as noise, and any other one.
STEADY_RATIO_DB, LEAST_RATIO_DB = 10.0, 24.0
# From its tenth to its ninetieth percentile over ten seconds around, in pieces of half a second: steady up to here, and
# not at all at twice as much.
STEADY_SPREAD_DB = 2.0
FEWEST_PIECES, PIECES_AROUND = 4, 21


def leave_intact(wet: Samples, damaged: Samples, sample_rate: int) -> None:
    """Give `wet` [channels, samples], in place, the damaged samples where they differ by less than -40 dB.

    Judged in frames of 50 ms, each channel by itself. Beside a frame that changes, the correction fades over a frame.
    """
    length = max(1, min(wet.shape[1], round(FRAME_SECONDS * sample_rate)))
    for row, was in zip(wet, damaged, strict=True):
        changes = _changes(row, was, length)
        if changes.all():
            continue
        # Before the first frame, between two frames, after the last one: 1 where either neighbour changes.
        padded = np.concatenate([changes[:1], changes, changes[-1:]])
        nodes = (padded[:-1] | padded[1:]).astype(np.float32)
        ramp = (np.arange(length, dtype=np.float32) + 0.5) / length
        for frame in np.flatnonzero(~changes):
            place = slice(frame * length, (frame + 1) * length)
            left, right = nodes[frame], nodes[frame + 1]
            if not left and not right:
                row[place] = was[place]
            elif left != right:
                share = (left + (right - left) * ramp)[: len(row[place])]
                row[place] = was[place] + share * (row[place] - was[place])


def _changes(row: Samples, was: Samples, length: int) -> NDArray[np.bool_]:
    """Of each frame, whether it is changed by more than can be left out."""
    missing = -len(row) % length
    frames = [np.pad(part, (0, missing)).reshape(-1, length) for part in (row - was, was)]
    change, heard = (np.square(part, dtype=np.float64).mean(axis=1) for part in frames)
    return np.asarray(change > np.maximum(10 ** (INAUDIBLE_DB / 10), 10 ** (NEGLIGIBLE_DB / 10) * heard))


def without_trifles(
    correction: Float[Tensor, "channels frames latent"],
    damaged: Float[Tensor, "channels frames latent"],
    bands: Sequence[slice],
) -> Float[Tensor, "channels frames latent"]:
    """`correction` of the standardised latents without what is under -40 dB of a band's own energy around it.

    The energies are means over five frames; a band's share goes from nothing at -40 dB to all at -34 dB.
    """
    kept = correction.clone()
    for band in bands:
        change, heard = (_around(part[..., band].square().sum(dim=-1)) for part in (correction, damaged))
        ratio_db = 10 * torch.log10(change.clamp(min=1e-20) / heard.clamp(min=1e-20))
        kept[..., band] *= ((ratio_db - NEGLIGIBLE_DB) / 6).clamp(0, 1)[..., None]
    return kept


def without_doubtful(
    correction: Float[Tensor, "channels frames latent"],
    doubt: Float[Tensor, "channels frames latent"],
    bands: Sequence[slice],
    num_frames: int,
) -> Float[Tensor, "channels frames latent"]:
    """`correction` of the standardised latents without what is smaller than the network's own doubt of it.

    On unfamiliar sounds - fire, wind and engines that were meant to be heard - a network takes away what it should
    not, but says that it may be far off. In every band, over about `num_frames` around, a correction is made in full
    where its energy is 30 dB above that of the expected error, and not at all where it is less than 24 dB above it.

    Only hiss and the like are as loud all the time: a correction that stays within 2 dB for seconds takes noise away,
    whatever else is heard meanwhile, and is made in full from 16 dB on, and not at all below 10.
    """
    kept = correction.clone()
    for band in bands:
        change, error = (_around(part[..., band].square().sum(dim=-1), num_frames) for part in (correction, doubt))
        ratio_db = 10 * torch.log10(change.clamp(min=1e-20) / error.clamp(min=1e-20))
        spread_db = _spread_db(correction[..., band].square().sum(dim=-1), max(1, num_frames // 2))
        unsteady = (spread_db / STEADY_SPREAD_DB - 1).clamp(0, 1)
        least_db = STEADY_RATIO_DB + unsteady * (LEAST_RATIO_DB - STEADY_RATIO_DB)
        kept[..., band] *= ((ratio_db - least_db) / 6).clamp(0, 1)[..., None]
    return kept


def _spread_db(energy: Float[Tensor, "channels frames"], piece: int) -> Float[Tensor, "channels frames"]:
    """By how much the energies of pieces of so many frames differ around each; infinite where they are too few."""
    count = energy.shape[-1] // piece
    if count < FEWEST_PIECES:
        return torch.full_like(energy, torch.inf)
    of_pieces = energy[:, : count * piece].reshape(len(energy), count, piece).mean(dim=-1)
    pieces_db = 10 * torch.log10(of_pieces.clamp(min=1e-20))
    around = pieces_db.unfold(-1, min(count, PIECES_AROUND), 1)
    quantiles = torch.quantile(around, torch.tensor([0.1, 0.9]), dim=-1)
    spread = quantiles[1] - quantiles[0]
    # Near the ends the window stays inside.
    of_piece = (torch.arange(count) - around.shape[-1] // 2).clamp(0, spread.shape[-1] - 1)
    return spread[:, of_piece[(torch.arange(energy.shape[-1]) // piece).clamp(max=count - 1)]]


def _around(
    energy: Float[Tensor, "channels frames"], num_frames: int = BAND_FRAMES
) -> Float[Tensor, "channels frames"]:
    """The mean over about `num_frames` frames around each; fewer at the ends."""
    half = min(num_frames, energy.shape[-1]) // 2
    kernel = 2 * half + 1
    return torch.nn.functional.avg_pool1d(energy[:, None], kernel, 1, half, count_include_pad=False)[:, 0]
