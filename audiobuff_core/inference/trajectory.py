"""From the damaged latent to the restored one, by whichever source the model was trained with."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from audiobuff_core.errors import InvalidConfig
from audiobuff_core.flow.guidance import Guidance, GuidedField
from audiobuff_core.flow.solver import SolverMethod, integrate, time_grid
from audiobuff_core.flow.source import SourceKind, make_source, uncertain_source
from audiobuff_core.inference.windows import WindowedField


def flow_to_data(
    field: WindowedField,
    source: SourceKind,
    noise: Float[Tensor, "channels frames latent"],
    *,
    steps: int,
    guidance: Guidance | None = None,
    method: SolverMethod = "euler",
    sway: float = 0.0,
    on_step: Callable[[int], None] | None = None,
) -> Float[Tensor, "channels frames latent"]:
    """The restored latents of one recording, standardised.

    From the source `uncertainty` with tau = 0 the estimate is the answer: nothing is left for the flow to invent.

    Args:
        field: the network with its conditions, `tau` among them.
        source: what the network was trained with.
        noise: standard normal, drawn once for the whole track.
        steps: solver steps, at least 1.
        guidance: how closely to follow the side streams; None is neutral.
        method: euler, midpoint or heun.
        sway: of the time grid, see `time_grid`.
        on_step: called with the number of finished solver steps after each.

    Raises:
        InvalidConfig: `tau` is not 1 for the source `noise`, which has nothing else.
    """
    if source == "noise" and field.conditions.tau != 1:
        raise InvalidConfig(f"tau {field.conditions.tau}: this model starts at noise alone, leave tau out")
    tau = torch.full((len(noise),), field.conditions.tau)
    if source == "uncertainty":
        mean, scale = field.estimate()
        if field.conditions.tau == 0:
            return mean
        x_0 = uncertain_source(mean, scale, noise, tau)
    else:
        x_0 = make_source(source, field.conditions.damaged, noise, tau)
    grid = time_grid(steps, sway=sway)
    return integrate(GuidedField(field, guidance or Guidance()), x_0, grid, method=method, on_step=on_step)
