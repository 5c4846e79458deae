"""The clips to hear and see in the report: encoded so that the file needs no other."""

import base64
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.plan import PlanRow
from audiobuff_core.evaluation.held_out import EvaluationItem, load_held_out
from audiobuff_core.evaluation.restorations import load_restored
from audiobuff_core.evaluation.table import ClipMeasures, MetricTable
from audiobuff_core.progress import track

MAIN_CLIPS, OTHER_CLIPS = 6, 1
# What all players together may take of the report, in characters of base64.
BUDGET_BYTES = 11_000_000
PEAK = 0.9


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a clip: `audio` and `picture` are data URIs."""

    name: str
    audio: str
    picture: str
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class Player:
    """One clip.

    Attributes:
        track_id: whose.
        kind: of damage.
        rank: its place among the clips of its kind, in words, such as `best of 24`.
        measures: its figures.
        damage: the row of the plan in words.
        versions: clean, degraded, restored.
    """

    track_id: str
    kind: str
    rank: str
    measures: ClipMeasures
    damage: str
    versions: tuple[Version, ...]

    @property
    def num_bytes(self) -> int:
        """What it adds to the report."""
        return sum(len(version.audio) + len(version.picture) for version in self.versions)


def make_players(root: str, tables: Mapping[str, MetricTable], main_kind: str) -> dict[str, list[Player]]:
    """Players by kind: clips of the main kind from best to worst, the middle one of every other kind.

    Clips are chosen by their rank, never by ear. What exceeds the budget is left out from the end of this order:
    the best, middle and worst clip of the main kind, one of each other kind, the rest of the main kind.
    """
    chosen: list[tuple[int, int, str, str, str]] = []
    for order, (kind, table) in enumerate(tables.items()):
        for turn, (position, rank, track_id) in enumerate(
            _spread(table, MAIN_CLIPS if kind == main_kind else OTHER_CLIPS)
        ):
            late = kind == main_kind and turn >= 3
            chosen.append((2 if late else 0 if kind == main_kind else 1, 100 * order + position, kind, rank, track_id))
    players: list[tuple[int, Player]] = []
    left = BUDGET_BYTES
    for _, position, kind, rank, track_id in track(sorted(chosen), "Encoding clips for the report"):
        player = _player(root, tables[kind], kind, rank, track_id)
        if player.num_bytes <= left:
            left -= player.num_bytes
            players.append((position, player))
    players.sort(key=lambda pair: pair[0])
    return {kind: [player for _, player in players if player.kind == kind] for kind in tables}


def _spread(table: MetricTable, num_clips: int) -> Iterator[tuple[int, str, str]]:
    """Position, rank and track of clips evenly spread over the ranking; the best, worst and middle one come first."""
    ranking = [item.track_id for item in reversed(table.worst(len(table.items)))]
    last = len(ranking) - 1
    if num_clips == 1:
        positions = [last // 2]
    else:
        places = np.linspace(0, last, min(num_clips, len(ranking))).round().astype(int).tolist()
        positions = list(dict.fromkeys([places[0], places[-1], places[len(places) // 2], *places]))
    for position in positions:
        name = {0: "best", last: "worst"}.get(position, f"number {position + 1}")
        if position == last // 2 and 0 < position < last:
            name = "middle"
        yield position, f"{name} of {len(ranking)}" if last else "the only clip", ranking[position]


def _player(root: str, table: MetricTable, kind: str, rank: str, track_id: str) -> Player:
    item = next(one for one in load_held_out(root, kind).items if one.track_id == track_id)
    restored = load_restored(root, table.checkpoint_key, kind)
    restored_path = next(one.path for one in restored.items if one.track_id == track_id)
    paths = {"clean": item.clean_path, "degraded": item.degraded_path, "restored": restored_path}
    versions = encode_versions({name: read_audio(path) for name, path in paths.items()})
    measures = next(one for one in table.items if one.track_id == track_id)
    return Player(track_id, kind, rank, measures, damage_in_words(item), tuple(versions))


def encode_versions(waveforms: Mapping[str, Waveform]) -> Iterator[Version]:
    """All versions in one channel and at one gain, so that their loudness can be compared; the first is the clean one.

    The brightest colour of every picture is the loudest place of the clean one.
    """
    from audiobuff_core.evaluation.figures import loudest_db, spectrogram_png

    mono = {name: waveform.mono() for name, waveform in waveforms.items()}
    gain = PEAK / max(1e-6, *(float(np.abs(waveform.samples).max()) for waveform in mono.values()))
    first = next(iter(mono.values())).scaled(gain)
    top_db = loudest_db(first.samples[0], first.sample_rate)
    for name, waveform in ((name, one.scaled(gain)) for name, one in mono.items()):
        picture = spectrogram_png(waveform.samples[0], waveform.sample_rate, top_db=top_db)
        yield Version(name, _flac_uri(waveform), _uri("image/png", picture), waveform.duration_seconds)


def _flac_uri(waveform: Waveform) -> str:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, waveform.samples.T, waveform.sample_rate, format="FLAC", subtype="PCM_16")
    return _uri("audio/flac", buffer.getvalue())


def _uri(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def damage_in_words(item: EvaluationItem) -> str:
    """Every fault of a clip with its parameters."""
    return row_in_words(item.row)


def row_in_words(row: PlanRow) -> str:
    """Every fault of a row with its parameters."""
    faults = [
        f"{fault.kind.replace('_', ' ')} ("
        + ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in fault.parameters.items())
        + ")"
        for fault in row.faults
    ]
    return "; ".join(faults) or "none: the input is the clean clip"


def _short(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("_", " ")
