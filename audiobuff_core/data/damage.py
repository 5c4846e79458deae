"""Damaging the tracks that a model learns from: the table first, the audio second."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from audiobuff_core.audio.loudness import level_gain
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.write import write_audio
from audiobuff_core.data.ingest import PristineTrack, load_pristine
from audiobuff_core.data.library import Split
from audiobuff_core.data.pristine import pristine_folder
from audiobuff_core.data.step_folder import StepFolder
from audiobuff_core.degradation.plan import PlanRow, draw_row, recipe_identity
from audiobuff_core.degradation.recipe import at_home
from audiobuff_core.errors import DataMissing, InvalidConfig
from audiobuff_core.files import exists, join, read_json, write_json
from audiobuff_core.progress import track
from audiobuff_core.seeding import digest

# Raise it when the same audio and options would give another row or another sound: ranges, recipes, faults.
# 2: rooms by pyroomacoustics, with the RT60 of their row; coloured noise drawn as a spectrum; arithmetic in 32 bits.
# 3: the network hears damaged audio after the exact treatments, as it does in restoration.
# 4: AAC and Opus end with the sound, not with the silence that their delay had left.
# 5: MP3 of a constant bit rate by another build of LAME, from 16 bits at full scale.
# 6: rumble treated, hum with few harmonics, and only glaring clicks where they are long.
CODE_VERSION = "9"


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """The parameter table of a shard: a row for each variant of each track that is not held out.

    `recipe`, `variants` and `seed` are what it was drawn by.
    """

    shard: str
    digest: str
    path: str
    rows: tuple[PlanRow, ...]
    recipe: str
    variants: int
    seed: int


@dataclass(frozen=True, slots=True)
class DegradedItem:
    """One damaged variant of a track.

    Attributes:
        track_id: whose.
        variant: 0, 1, ...
        path: of the damaged audio, 32-bit float WAV.
        heard_path: of what the network hears: the damaged audio after the exact treatments; `path` if they left it.
        clean_path: of the pristine audio, at the level that the row wants, with the same rate and samples.
        row: what was done to it.
        split: `train` or `validation`.
        num_samples: of both.
        gain: `level_gain` of what the network hears, for both.
        trained_below_hz: what lies above is missing from the clean audio, too, and must not be learned; None: nothing.
    """

    track_id: str
    variant: int
    path: str
    heard_path: str
    clean_path: str
    row: PlanRow
    split: Split
    num_samples: int
    gain: float
    trained_below_hz: float | None = None


@dataclass(frozen=True, slots=True)
class DegradedShard:
    """The damaged audio of a shard; `digest` is that of the rows and the clean audio, which decide its every bit."""

    shard: str
    digest: str
    path: str
    items: tuple[DegradedItem, ...]


def plan_shard(root: str, shard: str, *, recipe: str = "demo", variants: int = 2, seed: int = 1337) -> PlannedShard:
    """Draw the damage of every track of `shard` that is not held out, `variants` times.

    Raises:
        InvalidConfig: an unknown recipe, a recipe with problems, or no variants.
        DataMissing: the shard was not ingested.
    """
    identity = recipe_identity(recipe)
    if variants < 1:
        raise InvalidConfig(f"Recipe {recipe!r} with {variants} variants: expected at least 1")
    pristine = load_pristine(root, shard)
    inputs = digest(CODE_VERSION, pristine.digest, identity, variants, seed)
    path = _plan_path(root, shard)
    if not exists(path) or read_json(path)["inputs"] != inputs:
        rows = [
            draw_row(one.track_id, one.audio_hash, recipe=recipe, seed=seed, variant=variant).as_dict()
            for one in pristine.tracks
            if one.split != "held_out"
            for variant in range(variants)
        ]
        options = {"recipe": at_home(recipe), "variants": variants, "seed": seed}
        write_json(path, {"shard": shard, "inputs": inputs, **options, "rows": rows})
    return load_planned(root, shard)


def load_planned(root: str, shard: str) -> PlannedShard:
    """The table that `plan_shard` left.

    Raises:
        DataMissing: there is none.
    """
    path = _plan_path(root, shard)
    if not exists(path):
        raise DataMissing(f"No degradation plan of shard {shard!r} at {path}: materialise degradation/plan first")
    table = read_json(path)
    rows = tuple(PlanRow.from_dict(row) for row in table["rows"])
    drawn_by = {name: table[name] for name in ("recipe", "variants", "seed")}
    return PlannedShard(shard, digest(table["rows"]), path, rows, **drawn_by)


def _plan_path(root: str, shard: str) -> str:
    return join(root, "degradation", "plan", f"{shard}.json")


def degrade_shard(root: str, shard: str) -> DegradedShard:
    """Render every row of the shard's plan; files whose row has not changed are kept.

    Raises:
        DataMissing: there is no plan, no pristine audio, or the plan is of other audio.
    """
    planned = load_planned(root, shard)
    tracks = {one.track_id: one for one in load_pristine(root, shard).tracks}
    by_track: dict[str, list[PlanRow]] = defaultdict(list)
    for row in planned.rows:
        if row.track_id not in tracks or tracks[row.track_id].audio_hash != row.audio_hash:
            raise DataMissing(
                f"The plan of shard {shard!r} is of other audio than audio/pristine has for track {row.track_id!r}: "
                "materialise degradation/plan again"
            )
        by_track[row.track_id].append(row)
    folder = StepFolder(join(root, "audio", "degraded", shard))
    wanted = {
        name: digest(CODE_VERSION, row.as_dict(), tracks[row.track_id].trained_below_hz)
        for row in planned.rows
        for name in (*_names(row), _treated_name(row))
    }
    inputs = digest(CODE_VERSION, shard, wanted)
    manifest = folder.sealed(inputs)
    if manifest is None:
        folder.begin(wanted)
        with folder.noting():
            for track_id, rows in track(by_track.items(), f"Damaging {shard}", total=len(by_track)):
                _degrade(folder, tracks[track_id], rows, wanted)
        manifest = folder.seal(inputs, {"shard": shard})
    return _shard_of(root, folder.path, manifest)


def load_degraded(root: str, shard: str) -> DegradedShard:
    """The damaged audio that `degrade_shard` left.

    Raises:
        DataMissing: there is none, or some of its files are gone.
    """
    folder = StepFolder(join(root, "audio", "degraded", shard))
    manifest = folder.load(f"degraded audio of shard {shard!r}", "materialise audio/degraded for this shard")
    return _shard_of(root, folder.path, manifest)


def _name(row: PlanRow) -> str:
    return f"{row.track_id}.v{row.variant}.wav"


def _target_name(row: PlanRow) -> str:
    return f"{row.track_id}.v{row.variant}.target.wav"


def _treated_name(row: PlanRow) -> str:
    return f"{row.track_id}.v{row.variant}.treated.wav"


def _names(row: PlanRow) -> tuple[str, ...]:
    """The files of a row: the clean audio needs one of its own where its level goes with the damage."""
    from audiobuff_core.degradation.render import target_gain

    return (_name(row),) if target_gain(row) == 1.0 else (_target_name(row), _name(row))


def _degrade(folder: StepFolder, clean: PristineTrack, rows: list[PlanRow], wanted: dict[str, str]) -> None:
    """Render the rows of one track that are not there yet, and treat them."""
    from audiobuff_core.degradation.render import render, render_target
    from audiobuff_core.treatment.chain import GUESSES, treat

    missing = [row for row in rows if not _is_finished(folder, row)]
    if not missing:
        return
    waveform = read_audio(clean.path)
    for row in missing:
        damaged = render(row, waveform)
        if _target_name(row) in wanted:
            write_audio(join(folder.path, _target_name(row)), render_target(row, waveform))
            folder.finish(_target_name(row), {"key": wanted[_target_name(row)]})
        # Of noise the network is a witness, it must know it; and a flow is to fill lost bands itself.
        treated = treat(damaged, without=GUESSES)
        heard = _treated_name(row) if treated.repairs else _name(row)
        if treated.repairs:
            write_audio(join(folder.path, heard), treated.waveform)
            folder.finish(heard, {"key": wanted[heard]})
        write_audio(join(folder.path, _name(row)), damaged)
        item = {
            "key": wanted[_name(row)],
            "clean": clean.path.rsplit("/", 1)[-1],
            "heard": heard,
            "row": row.as_dict(),
            "split": clean.split,
            "num_samples": damaged.num_samples,
            "gain": level_gain(treated.waveform),
            "trained_below_hz": clean.trained_below_hz,
        }
        folder.finish(_name(row), item)


def _is_finished(folder: StepFolder, row: PlanRow) -> bool:
    item = folder.items.get(_name(row))
    return item is not None and all(name in folder.items for name in (*_names(row), item["heard"]))


def _shard_of(root: str, path: str, manifest: dict[str, Any]) -> DegradedShard:
    items, pristine = [], pristine_folder(root, manifest["shard"]).path
    for name, item in sorted(manifest["items"].items()):
        if "row" not in item:  # a target or a treated one, which stand beside their damaged one
            continue
        row = PlanRow.from_dict(item["row"])
        clean_path = join(pristine, item["clean"])
        if _target_name(row) in manifest["items"]:
            clean_path = join(path, _target_name(row))
        items.append(
            DegradedItem(
                track_id=row.track_id,
                variant=row.variant,
                path=join(path, name),
                heard_path=join(path, item["heard"]),
                clean_path=clean_path,
                row=row,
                split=item["split"],
                num_samples=item["num_samples"],
                gain=item["gain"],
                trained_below_hz=item.get("trained_below_hz"),
            )
        )
    content = digest(CODE_VERSION, [(item.row.as_dict(), item.trained_below_hz) for item in items])
    return DegradedShard(manifest["shard"], content, path, tuple(items))
