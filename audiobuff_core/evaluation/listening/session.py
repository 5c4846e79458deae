"""Who hears what in which order: drawn from a seed and the listener's name, and told to nobody who listens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.errors import InvalidConfig
from audiobuff_core.evaluation.listening.excerpts import ANCHOR, REFERENCE, excerpts_of
from audiobuff_core.evaluation.pairs import Item
from audiobuff_core.progress import track
from audiobuff_core.seeding import digest, numpy_generator

SCHEMA = "audiobuff-listening/1"
Drawn = TypeVar("Drawn")


@dataclass(frozen=True, slots=True, eq=False)
class Stimulus:
    """One sound to rate: its `id` says nothing of its `row`."""

    id: str
    row: str
    waveform: Waveform


@dataclass(frozen=True, slots=True, eq=False)
class RatingTrial:
    """Sounds to rate beside a reference that is told; the reference is hidden among them too, and so is an anchor."""

    id: str
    item: str
    reference: Waveform
    stimuli: tuple[Stimulus, ...]


@dataclass(frozen=True, slots=True, eq=False)
class AbxTrial:
    """Two sounds, the clean one and that of `row`, and X, which is one of them."""

    id: str
    item: str
    row: str
    x_is: Literal["A", "B"]
    a: Waveform
    b: Waveform

    @property
    def x(self) -> Waveform:
        """The sound to be told."""
        return self.a if self.x_is == "A" else self.b


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """All trials of one listener, in their order."""

    id: str
    listener: str
    seed: int
    ratings: tuple[RatingTrial, ...]
    abx: tuple[AbxTrial, ...]

    def key(self) -> dict[str, Any]:
        """What each id is, for whoever reads the results; not for the listener."""
        return {
            "schema": SCHEMA,
            "session": self.id,
            "listener": self.listener,
            "seed": self.seed,
            "ratings": {
                trial.id: {"item": trial.item, "stimuli": {one.id: one.row for one in trial.stimuli}}
                for trial in self.ratings
            },
            "abx": {trial.id: {"item": trial.item, "row": trial.row, "x": trial.x_is} for trial in self.abx},
        }


def make_session(
    items: Sequence[Item], *, listener: str, seed: int, num_items: int, num_abx_items: int, seconds: float
) -> Session:
    """Draw the trials: `num_items` items to rate, of as many kinds as there are, and `num_abx_items` of them for A/B/X.

    Raises:
        InvalidConfig: no items, or numbers below what makes sense.
        InvalidAudio: a version of an item does not agree with the clean one.
    """
    if not items or num_items < 1 or num_abx_items < 0 or not 0.2 <= seconds <= 30.0:
        raise InvalidConfig(
            f"{num_items} of {len(items)} items, {num_abx_items} for A/B/X, {seconds} s each: expected at least one "
            "item, no fewer than 0 for A/B/X, and 0.2 to 30 s"
        )
    name = digest("listening", seed, listener, [item.name for item in items], num_items, num_abx_items, seconds)[:16]
    chosen = _spread(items, num_items, seed)
    heard = {item.name: excerpts_of(item, seconds) for item in track(chosen, "Cutting and levelling")}
    ratings = [_rating(name, item, rows) for item, rows in heard.items()]
    abx = [
        _abx(name, item, row, rows)
        for item, rows in list(heard.items())[:num_abx_items]
        for row in rows
        if row not in (REFERENCE, ANCHOR)
    ]
    return Session(name, listener, seed, tuple(_shuffled(ratings, name, "rate")), tuple(_shuffled(abx, name, "abx")))


def _spread(items: Sequence[Item], num_items: int, seed: int) -> list[Item]:
    """Items chosen by seed, kind after kind; the same for every listener."""
    by_kind: dict[tuple[str, ...], list[Item]] = {}
    for item in _shuffled(sorted(items, key=lambda one: one.name), str(seed), "items"):
        by_kind.setdefault(item.kinds, []).append(item)
    turns = [(turn, kind, item) for kind, found in sorted(by_kind.items()) for turn, item in enumerate(found)]
    return [item for _, _, item in sorted(turns, key=lambda one: one[:2])][:num_items]


def _rating(session: str, item: str, rows: Mapping[str, Waveform]) -> RatingTrial:
    stimuli = [Stimulus(_id(session, item, row), row, waveform) for row, waveform in rows.items()]
    return RatingTrial(_id(session, item), item, rows[REFERENCE], tuple(_shuffled(stimuli, session, item)))


def _abx(session: str, item: str, row: str, rows: Mapping[str, Waveform]) -> AbxTrial:
    clean_first, x_is_first = numpy_generator("abx", session, item, row).random(2) < 0.5
    pair = (rows[REFERENCE], rows[row]) if clean_first else (rows[row], rows[REFERENCE])
    return AbxTrial(_id(session, item, row, "abx"), item, row, "A" if x_is_first else "B", *pair)


def _id(*keys: str) -> str:
    return digest("listening", *keys)[:12]


def _shuffled(values: Sequence[Drawn], *keys: str) -> list[Drawn]:
    order = numpy_generator("listening order", *keys).permutation(len(values))
    return [values[place] for place in order]
