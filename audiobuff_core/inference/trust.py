"""How far a network's corrections are to be trusted, band by band: learned from right ones and wrong ones.

A network says how far off it expects to be, but on unfamiliar sounds it is surer than it should be, and a bound that
keeps all of them intact forbids most of what it could do. Whether a correction is right shows in more than its doubt:
in how large it is in other bands, how it comes and goes, whether it adds or takes away, and in what the treatments
found before. Small judges are told all of that of five seconds around; they see it by two convolutions over the bands,
each beside the mean over all of them. They are asked only where a treatment found a fault. They belong to the weights
that they were taught with (`corpus/trust.py`), and lie beside them.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from audiobuff_core.errors import InvalidCheckpoint
from audiobuff_core.treatment.protocols import Repair

CELL_SECONDS, WINDOW_CELLS, FADE_CELLS = 0.25, 20, 9
WIDTH, TAPS = 24, 3
LEAST_ENERGY = 1e-6
# Standard deviations: evidence beyond is unlike all that was taught, and counts as this.
FARTHEST = 4.0
# Below the first certainty a band is left as it was, from the second on all of the correction is made.
LEAST_CERTAINTY, SURE = 0.7, 0.8
# A correction that is so much smaller than what may be wrong about it is none, however sure the judges are; 6 dB above,
# all of it is made.
LEAST_RATIO_DB = -10.0
# Treatments whose finds are told.
FOUND = ("hum", "rumble", "clipping", "clicks", "gaps", "quantisation", "sample_hold", "noise", "lost_band")
# Those whose finds mean that something is wrong, and in how many cells around; few bits and an empty upper band may be
# how it was made, and a few clicks are in many good recordings.
FAULTS = {"hum": 1, "rumble": 1, "clipping": 1, "clicks": 4, "gaps": 1, "noise": 1}


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A correction that a network would make, and what it knows of it.

    Attributes:
        correction: of the standardised latents.
        doubt: the deviation that the network expects of it.
        damaged: the standardised latents.
        frame_rate: of the latents, in Hz.
        bands: of the latents.
        repairs: by the treatments before, in seconds from the first frame on.
    """

    correction: Float[Tensor, "channels frames latent"]
    doubt: Float[Tensor, "channels frames latent"]
    damaged: Float[Tensor, "channels frames latent"]
    frame_rate: float
    bands: Sequence[slice]
    repairs: Sequence[Repair] = ()

    @property
    def cell_frames(self) -> int:
        """Frames in a cell."""
        return max(1, round(CELL_SECONDS * self.frame_rate))

    def by_cell(self, values: Float[Tensor, "channels frames latent"]) -> Float[Tensor, "channels cells bands"]:
        """The sums over each cell and band."""
        frames = torch.stack([values[..., band].sum(dim=-1) for band in self.bands], dim=-1)
        padded = functional.pad(frames, (0, 0, 0, -values.shape[1] % self.cell_frames))
        return padded.reshape(len(padded), -1, self.cell_frames, len(self.bands)).sum(dim=2)

    def finds_around(self) -> Float[Tensor, "channels kinds cells"]:
        """In how many of the cells of the five seconds around each a treatment changed something."""
        cells = -(-self.correction.shape[1] // self.cell_frames)
        marks = torch.zeros(len(self.correction), len(FOUND), cells)
        seconds = self.cell_frames / self.frame_rate
        for repair in self.repairs:
            if repair.kind in FOUND and repair.end_seconds > 0:
                span = slice(max(0, int(repair.start_seconds / seconds)), int(repair.end_seconds / seconds) + 1)
                marks[list(repair.channels), FOUND.index(repair.kind), span] = 1.0
        return _windows(marks[..., None]).sum(dim=(-1, -2))


def evidence_of(proposal: Proposal) -> Float[Tensor, "channels cells features bands"]:
    """What the judges are told of the five seconds around each cell: mean, deviation, most and least of what it shows.

    Of each band how large correction and doubt are, relative to what is heard and to each other, whether the correction
    takes away, how loud the band is, and how sparse both are; the first three of all bands together too; which band it
    is; and which treatments found something.
    """
    change, heard, error = (
        proposal.by_cell(part.square()) for part in (proposal.correction, proposal.damaged, proposal.doubt)
    )
    logs = [torch.log10(part + LEAST_ENERGY) for part in (change, heard, error)]
    sizes = torch.tensor([float(band.stop - band.start) for band in proposal.bands]) * proposal.cell_frames
    shown = [
        *_ratios(*logs),
        proposal.by_cell(proposal.correction * proposal.damaged) / (change * heard + LEAST_ENERGY).sqrt(),
        logs[1],
        proposal.by_cell(proposal.correction.abs()) / (change * sizes + LEAST_ENERGY).sqrt(),
        proposal.by_cell(proposal.damaged.abs()) / (heard * sizes + LEAST_ENERGY).sqrt(),
    ]
    windows = _windows(torch.stack(shown, dim=1))
    pooled = [windows.mean(dim=-1), windows.std(dim=-1, correction=0), windows.amax(dim=-1), windows.amin(dim=-1)]
    totals = [torch.log10(_windows(part).sum(dim=(-1, -2)) + LEAST_ENERGY) for part in (change, heard, error)]
    whole = torch.cat([torch.stack(_ratios(*totals), dim=1), (proposal.finds_around() > 0).float()], dim=1)
    place = torch.linspace(-1, 1, len(proposal.bands)).expand(len(change), 1, change.shape[1], -1)
    told = torch.cat([*pooled, whole[..., None].expand(-1, -1, -1, len(proposal.bands)), place], dim=1)
    return told.transpose(1, 2)


def _ratios(change: Tensor, heard: Tensor, error: Tensor) -> list[Tensor]:
    return [change - heard, error - heard, change - error]


def _windows(cells: Float[Tensor, "*more cells bands"]) -> Float[Tensor, "*more cells bands window"]:
    """The cells around each one; near the ends the window stays inside."""
    count = cells.shape[-2]
    around = min(count, WINDOW_CELLS)
    first = (torch.arange(count) - around // 2).clamp(0, count - around)
    return cells.unfold(-2, around, 1)[..., first, :, :]


class Judge(nn.Module):
    """The logit of each band, from what is shown of all of them."""

    def __init__(self, num_features: int) -> None:
        """Make the layers."""
        super().__init__()
        self.first = nn.Conv1d(num_features, WIDTH, TAPS, padding=TAPS // 2)
        self.second = nn.Conv1d(2 * WIDTH, WIDTH, TAPS, padding=TAPS // 2)
        self.last = nn.Conv1d(2 * WIDTH, 1, 1)

    def forward(self, evidence: Float[Tensor, "items features bands"]) -> Float[Tensor, "items bands"]:
        """Positive where the correction of a band does good."""
        values = evidence
        for layer in (self.first, self.second):
            values = functional.relu(layer(values))
            values = torch.cat([values, values.mean(dim=-1, keepdim=True).expand_as(values)], dim=1)
        logits: Tensor = self.last(values)[:, 0]
        return logits


class Trust(nn.Module):
    """Judges that were taught alike from other beginnings; what counts is the mean of their logits."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Float[Tensor, "features"], deviation: Float[Tensor, "features"], num_judges: int) -> None:
        """Make judges that know nothing yet, told of evidence of this mean and deviation."""
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.judges = nn.ModuleList(Judge(len(mean)) for _ in range(num_judges))

    def standardised(self, evidence: Float[Tensor, "items features bands"]) -> Float[Tensor, "items features bands"]:
        """The evidence as a judge is told it."""
        scaled = (evidence - self.mean[:, None]) / self.deviation[:, None]
        return scaled.clamp(-FARTHEST, FARTHEST)

    @torch.no_grad()
    def certainty(self, evidence: Float[Tensor, "items features bands"]) -> Float[Tensor, "items bands"]:
        """How sure they are that the correction of a band does good, 0 to 1."""
        told = self.standardised(evidence)
        return torch.stack([judge(told) for judge in self.judges]).mean(dim=0).sigmoid()

    def trusted(self, proposal: Proposal) -> Float[Tensor, "channels frames latent"]:
        """The correction in the bands and at the moments at which it is trusted, coming and going over two seconds.

        It never is where no treatment found a fault in the five seconds around: what is intact has most to lose.
        """
        finds = proposal.finds_around()
        faulty = torch.stack([finds[:, FOUND.index(kind)] >= least for kind, least in FAULTS.items()]).any(dim=0)
        if not faulty.any():
            return torch.zeros_like(proposal.correction)
        evidence = evidence_of(proposal)
        certainty = self.certainty(evidence.flatten(0, 1)).reshape(*evidence.shape[:2], -1)
        share = ((certainty - LEAST_CERTAINTY) / (SURE - LEAST_CERTAINTY)).clamp(0, 1).transpose(1, 2)
        change, error = (
            _windows(proposal.by_cell(one.square())).sum(dim=-1) for one in (proposal.correction, proposal.doubt)
        )
        ratio_db = 10 * torch.log10((change + LEAST_ENERGY) / (error + LEAST_ENERGY)).transpose(1, 2)
        share = share * ((ratio_db - LEAST_RATIO_DB) / 6).clamp(0, 1)
        share = share * faulty[:, None]
        share = functional.avg_pool1d(share, FADE_CELLS, 1, FADE_CELLS // 2, count_include_pad=False)
        num_frames = proposal.correction.shape[1]
        by_frame = functional.interpolate(share, size=share.shape[-1] * proposal.cell_frames, mode="linear")
        kept = proposal.correction.clone()
        for index, band in enumerate(proposal.bands):
            kept[..., band] *= by_frame[:, index, :num_frames, None]
        return kept

    def sha256(self) -> str:
        """Of all that decides what is trusted."""
        return hashlib.sha256(self.to_bytes("")).hexdigest()

    def to_bytes(self, weights_sha256: str) -> bytes:
        """The file to lay beside the weights of this SHA-256."""
        return save(self.state_dict(), {"weights_sha256": weights_sha256})


def read_trust(content: bytes, place: str, weights_sha256: str) -> Trust:
    """What `Trust.to_bytes` gave for these weights.

    Raises:
        InvalidCheckpoint: it is not whole, or was taught with other weights.
    """
    try:
        values = load(content)
        # The header of a safetensors file: eight bytes of its length, then JSON.
        facts = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {})
        num_judges = 1 + max(int(name.split(".")[1]) for name in values if name.startswith("judges."))
        trust = Trust(values["mean"], values["deviation"], num_judges)
        trust.load_state_dict(values)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:150]
        raise InvalidCheckpoint(
            f"{place} is not whole ({reason}): remove it, and write it anew by corpus/trust.py"
        ) from error
    if facts.get("weights_sha256") != weights_sha256:
        raise InvalidCheckpoint(
            f"{place} was taught with weights {str(facts.get('weights_sha256'))[:12]}, beside it lie "
            f"{weights_sha256[:12]}: remove it, and write it anew by corpus/trust.py"
        )
    return trust.eval()
