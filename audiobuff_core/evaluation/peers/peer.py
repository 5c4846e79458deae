"""What a peer is: a restorer of others, in one version, that may or may not be installed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.plan import PlanRow
from audiobuff_core.errors import PeerTooSlow, PeerUnavailable
from audiobuff_core.evaluation.peers.limit import time_limit


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One damaged recording, and what may be known of it.

    Attributes:
        damaged: all that peers but the operator look at.
        row: its damage, if it is known.
        clean: what it was before, of the same rate, channels and samples, if it is at hand.
        limit_seconds: how long one tool may take on it; None for as long as it likes.
    """

    damaged: Waveform
    row: PlanRow | None = None
    clean: Waveform | None = None
    limit_seconds: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of a case.

    Attributes:
        waveform: restored, of the shape and rate of the damaged one.
        how: the tools, where they were chosen.
        given_up: the tools that took too long, each with its limit; the recording went past them as it was.
    """

    waveform: Waveform
    how: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()


Restore = Callable[[Case], Outcome]


@dataclass(frozen=True, slots=True)
class Peer:
    """A restorer of others.

    Attributes:
        name: how it is called in tables and folders.
        about: what it does, in a few words.
        packages: the distributions it needs besides AudioBuff's own.
        licence: of its code and weights.
        load: makes it ready; what takes long once belongs here.
    """

    name: str
    about: str
    packages: tuple[str, ...]
    licence: str
    load: Callable[[], Restore]

    def versions(self) -> dict[str, str]:
        """Package to installed version.

        Raises:
            PeerUnavailable: a package is missing.
        """
        return {package: installed_version(package, self.name) for package in self.packages}


def installed_version(package: str, wanted_by: str) -> str:
    """The version of `package`.

    Raises:
        PeerUnavailable: it is not installed.
    """
    try:
        return version(package)
    except PackageNotFoundError as error:
        raise PeerUnavailable(
            f"{wanted_by} needs the package {package}, which is not installed: uv sync --extra baselines, "
            f"or pip install {package}"
        ) from error


def of_waveform(restore: Callable[[Waveform], Waveform]) -> Restore:
    """A peer that looks at the sound alone."""
    return in_turn({"": restore})


def in_turn(steps: Mapping[str, Callable[[Waveform], Waveform]]) -> Restore:
    """A peer of several steps by name, of which one that takes too long is left out; it has to be heard by one."""

    def restore(case: Case) -> Outcome:
        waveform = case.damaged
        given_up: list[str] = []
        for name, step in steps.items():
            try:
                with time_limit(case.limit_seconds):
                    waveform = step(waveform)
            except PeerTooSlow as error:
                if len(given_up) + 1 == len(steps):
                    raise
                given_up.append(f"{name} {error}")
        return Outcome(waveform, given_up=tuple(given_up))

    return restore
