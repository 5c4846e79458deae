"""What a peer is: a restorer of others, in one version, that may or may not be installed."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.plan import PlanRow
from audiobuff_core.errors import PeerUnavailable


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One damaged recording, and what may be known of it.

    Attributes:
        damaged: all that peers but the operator look at.
        row: its damage, if it is known.
        clean: what it was before, of the same rate, channels and samples, if it is at hand.
    """

    damaged: Waveform
    row: PlanRow | None = None
    clean: Waveform | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A restored recording of the shape and rate of the damaged one; `how` names the tools, where they were chosen."""

    waveform: Waveform
    how: tuple[str, ...] = ()


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
            f"{wanted_by} needs the package {package}, which is not installed: pip install 'audiobuff[baselines]'"
        ) from error


def of_waveform(restore: Callable[[Waveform], Waveform]) -> Restore:
    """A peer that looks at the sound alone."""
    return lambda case: Outcome(restore(case.damaged))
