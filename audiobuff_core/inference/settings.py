"""What a user may ask of a restoration. Imports no torch."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from audiobuff_core.errors import InvalidConfig

if TYPE_CHECKING:
    from audiobuff_core.audio.recording import Recording

Preset = Literal["fast", "balanced", "best"]
PRESETS: tuple[str, ...] = get_args(Preset)
Solver = Literal["euler", "midpoint", "heun"]
SOLVERS: tuple[str, ...] = get_args(Solver)


NETWORK = "network"
OF_THE_FLOW = ("steps", "solver", "cfg", "cfg_structure", "cfg_semantic", "cfg_interval", "sway", "seed")
LARGEST_SWAY = 1.75
"""Just below 2 / (pi - 2), where the solver's times would begin to turn back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSettings:
    """How to restore.

    Attributes:
        preset: `fast` takes half of the steps that the model recommends, `best` twice as many by midpoint; of a
            longer recording the network hears an eighth, a quarter or half twice, and what it says is averaged. `fast`
            takes steady noise away by a filter alone, which no network corrects.
        steps: solver steps instead of the preset's.
        solver: euler, midpoint or heun instead of the preset's.
        tau: share of noise in the source, 0 to 1; None takes the model's own.
        cfg: guidance scale of both side streams, neutral at 1.
        cfg_structure: of the structure stream alone, beyond `cfg`; neutral at 1.
        cfg_semantic: of the semantic stream alone, beyond `cfg`; neutral at 1.
        cfg_interval: times of the flow from which and to which guidance acts, within 0 to 1.
        sway: how the solver's times are spread: 0 evenly, down to -1 more of them near the source, up to 1.75 fewer.
        seed: of the noise.
        strength: 0 leaves everything as it is, 1 is the restored recording; between them latents are mixed.
        keep_below_hz: the band below is the input's.
        only_seconds: begin and end of the stretch to repair; every other sample stays.
        channels: numbers from 1 of those to repair; None for all.
        without: names of treatments to leave out; `network` leaves out the network.
    """

    preset: Preset = "balanced"
    steps: int | None = None
    solver: Solver | None = None
    tau: float | None = None
    cfg: float = 1.0
    cfg_structure: float = 1.0
    cfg_semantic: float = 1.0
    cfg_interval: tuple[float, float] = (0.0, 1.0)
    sway: float = 0.0
    seed: int = 1337
    strength: float = 1.0
    keep_below_hz: float | None = None
    only_seconds: tuple[float, float] | None = None
    channels: tuple[int, ...] | None = None
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            InvalidConfig: naming all that is wrong at once.
        """
        tau, keep = self.tau, self.keep_below_hz
        checks = {
            f"preset {self.preset!r} (expected {', '.join(PRESETS)})": self.preset in PRESETS,
            f"steps {self.steps} (expected 1 to 1000)": self.steps is None or 1 <= self.steps <= 1000,
            f"solver {self.solver!r} (expected {', '.join(SOLVERS)})": self.solver is None or self.solver in SOLVERS,
            f"tau {tau} (expected 0 to 1)": tau is None or 0 <= tau <= 1,
            f"cfg {self.scales} (expected 0 to 20 each)": all(0 <= scale <= 20 for scale in self.scales),
            f"cfg_interval {self.cfg_interval} (expected 0 <= begin < end <= 1)": _is_stretch(self.cfg_interval)
            and self.cfg_interval[1] <= 1,
            f"sway {self.sway} (expected -1 to {LARGEST_SWAY})": -1 <= self.sway <= LARGEST_SWAY,
            f"seed {self.seed} (expected 0 or more)": self.seed >= 0,
            f"strength {self.strength} (expected 0 to 1)": 0 <= self.strength <= 1,
            f"keep_below_hz {keep} (expected above 0)": keep is None or keep > 0,
            f"only_seconds {self.only_seconds} (expected 0 <= begin < end)": _is_stretch(self.only_seconds),
            f"channels {self.channels} (expected numbers from 1)": self.channels is None
            or (len(self.channels) > 0 and min(self.channels) >= 1),
        }
        wrong = [problem for problem, holds in checks.items() if not holds]
        if wrong:
            raise InvalidConfig(f"Restoring with {'; '.join(wrong)}")

    @property
    def uses_network(self) -> bool:
        """Whether anything comes after the exact treatments."""
        return NETWORK not in self.without

    def without_effect(self, *, only_estimates: bool) -> list[str]:
        """Fields that were set and change nothing: where the network only estimates, or is left out, all of the flow.

        Args:
            only_estimates: whether the model takes its estimate for the answer, see `Restorer.only_estimates`.
        """
        if self.uses_network and not only_estimates:
            return []
        plain = RestoreSettings()
        return [name for name in OF_THE_FLOW if getattr(self, name) != getattr(plain, name)]

    @property
    def treatments_left_out(self) -> tuple[str, ...]:
        """Those of `without` that are not the network."""
        return tuple(name for name in self.without if name != NETWORK)

    @property
    def scales(self) -> tuple[float, float, float]:
        """The guidance scales: both streams, structure, semantic."""
        return self.cfg, self.cfg_structure, self.cfg_semantic

    def steps_of(self, recommended: int) -> int:
        """Solver steps, where the model recommends so many."""
        if self.steps is not None:
            return self.steps
        return {"fast": max(1, recommended // 2), "balanced": recommended, "best": 2 * recommended}[self.preset]

    def overlap_of(self, window_frames: int) -> int:
        """Frames that neighbouring windows of so many share."""
        return window_frames // {"fast": 8, "balanced": 4, "best": 2}[self.preset]

    @property
    def method(self) -> Solver:
        """The solver."""
        return self.solver or ("midpoint" if self.preset == "best" else "euler")

    def as_dict(self) -> dict[str, Any]:
        """The fields, for a report."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def _is_stretch(only: tuple[float, float] | None) -> bool:
    return only is None or 0 <= only[0] < only[1]


def span_of(recording: "Recording", settings: RestoreSettings) -> tuple[int, int]:
    """The samples [begin, end) that may change.

    Raises:
        InvalidConfig: the recording ends before they begin.
    """
    if settings.only_seconds is None:
        return 0, recording.num_samples
    begin, end = (round(seconds * recording.sample_rate) for seconds in settings.only_seconds)
    if begin >= recording.num_samples:
        raise InvalidConfig(
            f"--only {settings.only_seconds[0]:g}-{settings.only_seconds[1]:g}: {recording.path} ends at "
            f"{recording.duration_seconds:.3f} s; name a stretch inside it"
        )
    return begin, min(end, recording.num_samples)


def rows_of(recording: "Recording", settings: RestoreSettings) -> list[int]:
    """The channels, from 0, that may change.

    Raises:
        InvalidConfig: the recording does not have one of them.
    """
    if settings.channels is None:
        return list(range(recording.channels))
    missing = [number for number in settings.channels if number > recording.channels]
    if missing:
        raise InvalidConfig(f"--channels {missing[0]}: {recording.path} has {recording.channels}; name those from 1 on")
    return sorted({number - 1 for number in settings.channels})
