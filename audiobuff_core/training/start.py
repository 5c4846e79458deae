"""Starting from weights that are there (`--init_from`), with an account of what was taken over."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch

from audiobuff_core.codecs.protocols import Codec, EncoderIdentity, FeatureEncoder
from audiobuff_core.errors import InvalidConfig
from audiobuff_core.models.model import Standardiser, Standardisers
from audiobuff_core.models.stored import State, StoredWeights
from audiobuff_core.training.network import Network

_SIZES = (
    "d_model", "n_heads", "depth", "hidden_dim", "kernel_frames",
    "magnitude_input", "shared_modulation", "fusion_every",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Takeover:
    """What a network took from a checkpoint.

    Attributes:
        taken: names of tensors.
        left: names of the checkpoint's other tensors, with the reason.
        fresh: names of the network's other tensors, which begin as in any new network.
    """

    taken: tuple[str, ...]
    left: dict[str, str]
    fresh: tuple[str, ...]

    def lines(self, place: str) -> list[str]:
        """The account for a person."""
        said = [f"From {place}: {len(self.taken)} tensors taken over, {len(self.left)} left, {len(self.fresh)} new"]
        parts = Counter(".".join(name.split(".")[:2]) for name in self.taken)
        said.append(f"  taken over: {', '.join(f'{part} ({count})' for part, count in sorted(parts.items()))}")
        said += [f"  not taken over: {name} ({reason})" for name, reason in self.left.items()]
        return said + [f"  begins anew: {name}" for name in self.fresh if name not in self.left]


def options_from(stored: StoredWeights, given: dict[str, Any]) -> dict[str, Any]:
    """`given` options with the architecture, sizes and source of `stored` where they say nothing.

    Raises:
        InvalidConfig: they say something else; both values are named.
    """
    sizes = stored.config.as_dict()
    fixed = {"architecture": stored.architecture} | {name: sizes[name] for name in _SIZES if name in sizes}
    wrong = [
        f"--{name} {given[name]} but the checkpoint has {value}"
        for name, value in fixed.items()
        if given.get(name) is not None and given[name] != value
    ]
    if wrong:
        raise InvalidConfig(f"Options that contradict {stored.place}: {'; '.join(wrong)}; leave them out")
    source = stored.facts.get("meta", {}).get("source")
    if given.get("source") is None and source is not None:
        fixed["source"] = source  # another one may be asked for
    return given | fixed


def start_state(stored: StoredWeights) -> State:
    """The weights to begin with: the averaged ones where there are any."""
    return stored.weight_sets.get("ema") or stored.weight_sets["model"]


def take_over(network: Network, stored: StoredWeights) -> Takeover:
    """Copy every tensor of `stored` that `network` has in the same shape."""
    own, found = network.state_dict(), start_state(stored)
    taken, left = [], {}
    for name, tensor in found.items():
        if name not in own:
            left[name] = "this network has none"
        elif own[name].shape != tensor.shape:
            left[name] = f"it is {list(tensor.shape)} there, {list(own[name].shape)} here"
        else:
            taken.append(name)
    if not taken:
        raise InvalidConfig(f"Nothing in {stored.place} fits a network of these sizes: leave --init_from out")
    network.load_state_dict({name: found[name] for name in taken}, strict=False)
    return Takeover(tuple(taken), left, tuple(name for name in own if name not in taken))


def encoder_lines(stored: StoredWeights, encoders: dict[str, Codec | FeatureEncoder]) -> list[str]:
    """For a person: which streams are by other encoders than those that the weights of `stored` know, if any."""
    known = stored.facts.get("meta", {}).get("identities")
    if known is None:
        return ["  encoders: it does not say which it was trained with"]
    return [
        f"  {stream} is by {encoder.identity.key} here, by {_key(known[stream])} there: it has to be learned anew"
        for stream, encoder in encoders.items()
        if stream in known and known[stream] != encoder.identity.as_dict()
    ]


def _key(identity: dict[str, str]) -> str:
    return EncoderIdentity(**identity).key


def start_digest(stored: StoredWeights) -> str:
    """SHA-256 of the weights that a run begins with, whatever file they are in."""
    sha = hashlib.sha256()
    for name, tensor in sorted(start_state(stored).items()):
        sha.update(name.encode())
        sha.update(
            tensor.contiguous().view(torch.uint8).numpy().tobytes() if tensor.ndim else bytes(str(tensor), "ascii")
        )
    return sha.hexdigest()


def start_statistics(
    stored: StoredWeights | None, encoders: dict[str, Codec | FeatureEncoder], own: Standardisers
) -> Standardisers:
    """How a run standardises each stream: as the weights that it begins with knew it, where the encoder is the same.

    The original standardised nothing.
    """
    if stored is None:
        return own
    if stored.standardisers is None:
        return {
            stream: Standardiser(torch.zeros_like(kept.mean), torch.ones_like(kept.std)) for stream, kept in own.items()
        }
    known = stored.facts.get("meta", {}).get("identities", {})
    return {
        stream: stored.standardisers[stream] if known.get(stream) == encoders[stream].identity.as_dict() else kept
        for stream, kept in own.items()
    }
