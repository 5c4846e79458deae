"""What a restoration of arrays can be told by keyword."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from audiobuff_core.errors import InvalidConfig
from audiobuff_core.flow.guidance import Guidance
from audiobuff_core.flow.solver import SolverMethod
from audiobuff_core.inference.confidence import ConfidenceMap
from audiobuff_core.inference.settings import LARGEST_SWAY, SOLVERS
from audiobuff_core.treatment.protocols import Repair


class Options(TypedDict, total=False):
    """What `Restorer.restore` and `Restorer.stream` may be told by keyword; each has a default.

    Attributes:
        steps: solver steps; None, the default, takes the number the model recommends. 1 is its prediction, more
            refine it.
        tau: how much may be invented (noise in the source), 0 to 1; None takes the model's own.
        cfg: guidance scale of both side streams, neutral at 1.
        cfg_structure: of the structure stream alone, beyond `cfg`; neutral at 1.
        cfg_semantic: of the semantic stream alone, beyond `cfg`; neutral at 1.
        cfg_interval: times of the flow from which and to which guidance acts, (0, 1) by default.
        method: euler, midpoint or heun.
        sway: of the solver's times, -1 to 1.75: 0 spreads them evenly, less puts more of them near the source.
        seed: of the noise, drawn once for the whole track and shared by its channels.
        strength: 0 to 1: how far to go from the damaged latents to the restored ones.
        window_frames: latent frames that the network sees at once; None takes those of its training.
        overlap_frames: that neighbouring windows share, less than `window_frames`; None takes an eighth.
        guarded: whether what the network doubts, or hardly changes, is left as it was.
        repairs: what treatments changed about the recording before, which says how far to trust the network.
        on_progress: called now and then with the share that is done, 0 to 1.
        confidence: is filled with how sure the network is, by region and band; without the source `uncertainty` that
            costs one more pass through the network.
    """

    steps: int | None
    tau: float | None
    cfg: float
    cfg_structure: float
    cfg_semantic: float
    cfg_interval: tuple[float, float]
    method: SolverMethod
    sway: float
    seed: int
    strength: float
    window_frames: int | None
    overlap_frames: int | None
    guarded: bool
    repairs: Sequence[Repair]
    on_progress: Callable[[float], None]
    confidence: ConfidenceMap | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """`Options` with every default settled; the attributes are theirs."""

    steps: int
    tau: float
    guidance: Guidance
    method: SolverMethod
    sway: float
    seed: int
    strength: float
    window_frames: int
    overlap_frames: int
    guarded: bool
    repairs: Sequence[Repair]
    on_progress: Callable[[float], None]
    confidence: ConfidenceMap | None


def settled(options: Options, recommended: Mapping[str, Any]) -> Chosen:
    """`options` with the defaults of the model, `recommended`: `steps`, `tau` and `window_frames`.

    Raises:
        InvalidConfig: one is unknown or out of its range.
    """
    if unknown := sorted(set(options) - set(Options.__annotations__)):
        raise InvalidConfig(f"No option {', '.join(unknown)}: expected any of {', '.join(Options.__annotations__)}")
    steps, tau = options.get("steps"), options.get("tau")
    window, overlap = options.get("window_frames"), options.get("overlap_frames")
    window = recommended["window_frames"] if window is None else window
    chosen = Chosen(
        steps=recommended["steps"] if steps is None else steps,
        tau=recommended["tau"] if tau is None else tau,
        guidance=Guidance(
            scale=options.get("cfg", 1.0),
            structure=options.get("cfg_structure", 1.0),
            semantic=options.get("cfg_semantic", 1.0),
            interval=options.get("cfg_interval", (0.0, 1.0)),
        ),
        method=options.get("method", "euler"),
        sway=options.get("sway", 0.0),
        seed=options.get("seed", 1337),
        strength=options.get("strength", 1.0),
        window_frames=window,
        overlap_frames=window // 8 if overlap is None else overlap,
        guarded=options.get("guarded", True),
        repairs=options.get("repairs", ()),
        on_progress=options.get("on_progress", lambda share: None),
        confidence=options.get("confidence"),
    )
    if chosen.steps < 1 or not 0 <= chosen.tau <= 1 or not 0 <= chosen.strength <= 1:
        raise InvalidConfig(
            f"{chosen.steps} steps, tau {chosen.tau}, strength {chosen.strength}: expected at least 1 step, and "
            "tau and strength from 0 to 1"
        )
    if chosen.method not in SOLVERS:
        raise InvalidConfig(f"Method {chosen.method!r}: expected one of {', '.join(SOLVERS)}")
    begin, end = chosen.guidance.interval
    if not 0 <= begin < end <= 1 or not -1 <= chosen.sway <= LARGEST_SWAY:
        raise InvalidConfig(
            f"Guidance from {begin} to {end}, sway {chosen.sway}: expected 0 <= begin < end <= 1, and a sway from -1 "
            f"to {LARGEST_SWAY}"
        )
    if window < 4 or not 0 <= chosen.overlap_frames < window:
        raise InvalidConfig(
            f"Windows of {window} frames, {chosen.overlap_frames} shared: expected at least 4, and fewer shared"
        )
    return chosen
