"""Checkpoints as objects: what is in them, and the velocity that their network gives."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from audiobuff_core.codecs.registry import load_codec, load_feature_encoder
from audiobuff_core.errors import InvalidCheckpoint, InvalidConfig
from audiobuff_core.models.conditioning import SideStream
from audiobuff_core.models.legacy import LEGACY_ARCHITECTURE, LegacyConfig, LegacyModel
from audiobuff_core.models.legacy_layouts import legacy_model
from audiobuff_core.models.model import ARCHITECTURE, ModelConfig, RestorationModel, Standardisers
from audiobuff_core.models.schema import model_of

State = dict[str, Tensor]
Weights = Literal["ema", "model"]


def weights_of(weight_sets: dict[str, State], weights: str, place: str) -> State:
    """One of the sets of weights that the checkpoint at `place` has.

    Raises:
        InvalidCheckpoint: it does not have that set.
        InvalidConfig: there is no such set at all.
    """
    if weights not in ("ema", "model"):
        raise InvalidConfig(f"Weights {weights!r}: expected ema or model")
    if weights not in weight_sets:
        kind = "averaged (EMA)" if weights == "ema" else "plain, not averaged"
        other = "ema" if weights == "model" else "model"
        raise InvalidCheckpoint(f"{place} has no {kind} weights, only `{other}`: ask for weights {other}")
    return weight_sets[weights]


@dataclass(frozen=True, eq=False)
class LegacyCheckpoint:
    """A checkpoint of the original, or an export of one.

    Attributes:
        place: path or URL.
        config: sizes by the original's names.
        weight_sets: whole state dicts of `LegacyModel`.
        facts: `epoch`, `meta`, `layout`.
    """

    place: str
    config: LegacyConfig
    weight_sets: dict[str, State]
    facts: dict[str, Any]
    _networks: dict[str, LegacyModel] = field(default_factory=dict, repr=False)

    @property
    def architecture(self) -> str:
        """`lcfm-dit-v0`."""
        return LEGACY_ARCHITECTURE

    @property
    def sizes(self) -> dict[str, int]:
        """The fields of `config`."""
        return self.config.as_dict()

    def network(self, weights: Weights = "ema") -> LegacyModel:
        """The network with one set of weights, in evaluation mode, on the CPU; made once."""
        if weights not in self._networks:
            state = weights_of(self.weight_sets, weights, self.place)
            self._networks[weights] = legacy_model(self.config, state, self.place)
        return self._networks[weights]

    @torch.no_grad()
    def velocity(
        self,
        x_t: Float[Tensor, "batch frames latent"],
        t: Float[Tensor, "batch"],
        *,
        xcodec: Float[Tensor, "batch xcodec_frames xcodec_dim"] | None,
        audiomae: Float[Tensor, "batch mae_frames mae_dim"] | None,
        weights: Weights = "ema",
    ) -> Float[Tensor, "batch frames latent"]:
        """The velocity at `x_t`; a stream that is None is the original's null condition.

        Raises:
            InvalidCheckpoint: the file does not have these weights.
            InvalidConfig: a stream of another width.
        """
        _check_width("x_t", x_t, self.config.in_channels)
        _check_width("xcodec", xcodec, self.config.xcodec_dim)
        _check_width("audiomae", audiomae, self.config.mae_dim)
        return self.network(weights)(x_t, t, xcodec, audiomae)  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class OurCheckpoint:
    """A training checkpoint of schema 3, or an export.

    Attributes:
        place: path or URL.
        config: sizes.
        standardisers: of the three streams.
        weight_sets: whole state dicts of `RestorationModel`.
        facts: `meta` and, of a training checkpoint, `epoch`, `train_state`, `training`, `metrics`.
    """

    place: str
    config: ModelConfig
    standardisers: Standardisers
    weight_sets: dict[str, State]
    facts: dict[str, Any]
    _networks: dict[str, RestorationModel] = field(default_factory=dict, repr=False)

    @property
    def architecture(self) -> str:
        """`lcfm-dit-v1`."""
        return ARCHITECTURE

    @property
    def sizes(self) -> dict[str, int]:
        """The fields of `config`."""
        return self.config.as_dict()

    def network(self, weights: Weights = "ema") -> RestorationModel:
        """The network with one set of weights, in evaluation mode, on the CPU; made once."""
        if weights not in self._networks:
            state = weights_of(self.weight_sets, weights, self.place)
            self._networks[weights] = model_of(self.config, state, self.place)
        return self._networks[weights]

    @cached_property
    def _rates(self) -> dict[str, float]:
        """Frames a second of each stream, as its encoder says."""
        names = self.facts["meta"]["encoders"]
        return {
            "target": float(load_codec(names["codec"]).frame_rate),
            "structure": float(load_feature_encoder("structure", names["structure"]).frame_rate),
            "semantic": float(load_feature_encoder("semantic", names["semantic"]).frame_rate),
        }

    @torch.no_grad()
    def velocity(
        self,
        x_t: Float[Tensor, "batch frames latent"],
        t: Float[Tensor, "batch"],
        *,
        xcodec: Float[Tensor, "batch structure_frames structure_dim"] | None,
        audiomae: Float[Tensor, "batch semantic_frames semantic_dim"] | None,
        damaged: Float[Tensor, "batch frames latent"] | None = None,
        tau: Float[Tensor, "batch"] | None = None,
        weights: Weights = "ema",
    ) -> Float[Tensor, "batch frames latent"]:
        """The velocity at `x_t`; everything standardised, every stream from second 0 on.

        Args:
            x_t: latents between source and data.
            t: 0 to 1.
            xcodec: the structure stream, by whatever encoder it was trained with; None is the learned null.
            audiomae: the semantic stream likewise.
            damaged: latents of the damaged recording, which this architecture cannot do without.
            tau: share of noise in the source; None takes the model's own.
            weights: which set.

        Raises:
            InvalidConfig: no `damaged`, or a stream of another width.
            InvalidCheckpoint: the file does not have these weights.
        """
        if damaged is None:
            raise InvalidConfig(
                f"{ARCHITECTURE} needs the damaged recording's latents: pass damaged= with the shape of x_t"
            )
        for name, values in (("x_t", x_t), ("damaged", damaged)):
            _check_width(name, values, self.config.latent_dim)
        batch, num_frames = x_t.shape[:2]
        if tau is None:
            tau = torch.full((batch,), float(self.facts["meta"]["inference"]["tau"]))
        return self.network(weights).velocity(
            x_t, t, tau, damaged,
            _clock(batch, num_frames, self._rates["target"]),
            torch.ones(batch, num_frames, dtype=torch.bool),
            self._side("structure", xcodec, batch, self.config.structure_dim),
            self._side("semantic", audiomae, batch, self.config.semantic_dim),
        )  # fmt: skip

    def _side(self, stream: str, values: Tensor | None, batch: int, dim: int) -> SideStream:
        _check_width(stream, values, dim)
        dropped = torch.full((batch,), values is None)
        shown = torch.zeros(batch, 1, dim) if values is None else values
        times = _clock(batch, shown.shape[1], self._rates[stream])
        return SideStream(shown, times, torch.ones(times.shape, dtype=torch.bool), dropped)


def _clock(batch: int, num_frames: int, rate: float) -> Tensor:
    return (torch.arange(num_frames, dtype=torch.float64) / rate).expand(batch, -1)


def _check_width(name: str, values: Tensor | None, dim: int) -> None:
    if values is not None and (values.ndim != 3 or values.shape[2] != dim):
        raise InvalidConfig(f"{name} of shape {list(values.shape)}: this checkpoint takes [batch, frames, {dim}]")
