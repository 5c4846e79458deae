"""Every kind of fault on one recording: a folder of files, and a page to hear and see them."""

import base64
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.plan import PlanRow
from audiobuff_core.errors import InvalidConfig

PAGE = "index.html"
PEAK = 0.9
DRAWS = 8


@dataclass(frozen=True, slots=True)
class Heard:
    """One version on the page: where its sound lies, its spectrogram as a data URI, and what was done to it."""

    name: str
    stage: str
    summary: str
    audio: str
    picture: str
    damage: str
    softer_db: float
    is_unchanged: bool


def degrade_each(source: Path, folder: Path, *, seed: int = 1337, variant: int = 0, noises: str | None = None) -> str:
    """Render every kind and variant, the original's too, into `folder`, as 16-bit FLAC, with a page; its path.

    All versions are at one gain, so that their loudness can be compared; one that would exceed full scale is softer,
    and the page says so. The first of eight variants that can be heard is taken; where none can, the page says that.
    Beside each lies its row.

    Raises:
        InvalidConfig: the source is a folder, or a sound would be written over it.
        AudioBuffError: the source can't be read, or the folder not be written.
    """
    from audiobuff_core.audio.read import read_audio
    from audiobuff_core.commands.degrade_files import Damage
    from audiobuff_core.degradation.kinds import KINDS_TABLE, STAGES
    from audiobuff_core.degradation.recipe import FOLDER_MARK, TABLE_MARK, load_recipe, with_original
    from audiobuff_core.degradation.render import render
    from audiobuff_core.evaluation.players import row_in_words
    from audiobuff_core.files import require_writable, write_bytes, write_json
    from audiobuff_core.progress import track

    if source.is_dir():
        raise InvalidConfig(f"{source} is a folder: --each takes one recording")
    clean = read_audio(source, whole=True)
    folder_of_noise = f"{FOLDER_MARK}{noises}" if noises else ""
    drawn = with_original(load_recipe(f"audiobuff{folder_of_noise}").entries)
    entries = sorted(drawn, key=lambda entry: STAGES.index(KINDS_TABLE[entry.kind].stage))
    sounds = [folder / f"{_file_name(name)}.flac" for name in ("clean", *(entry.name for entry in entries))]
    if source.resolve() in [sound.resolve() for sound in sounds]:
        raise InvalidConfig(f"{source} would be overwritten: name another folder than {folder}")
    require_writable(folder / PAGE)
    page = _Page(folder, clean)
    versions = [page.version("clean", "", "as it came in", clean, "nothing")]
    for entry in track(entries, "Rendering every kind"):
        recipe = TABLE_MARK + entry.name + folder_of_noise * (entry.kind == "environment")
        kind = KINDS_TABLE[entry.kind]
        for number in range(variant, variant + DRAWS):  # a band edge may be drawn above the band, and not be heard
            row: PlanRow = Damage(recipe, seed, number).row_for(source.name, clean)
            damaged = render(row, clean)
            if not np.array_equal(damaged.samples, clean.samples):
                break
        versions.append(page.version(entry.name, kind.stage, kind.summary, damaged, row_in_words(row)))
        write_json(folder / f"{_file_name(entry.name)}.json", {"input": str(source), "row": row.as_dict()})
    write_bytes(folder / PAGE, _html(source.name, versions, seed, variant).encode())
    return str(folder / PAGE)


class _Page:
    """Writes sounds and draws pictures on the scale of the clean recording."""

    def __init__(self, folder: Path, clean: Waveform) -> None:
        from audiobuff_core.evaluation.figures import loudest_db

        self.folder, self.clean = folder, clean
        self.gain = PEAK / max(1e-6, float(np.abs(clean.samples).max()))
        self.top_db = loudest_db(clean.mono().samples[0], clean.sample_rate)

    def version(self, name: str, stage: str, summary: str, waveform: Waveform, damage: str) -> Heard:
        from audiobuff_core.audio.write import write_audio
        from audiobuff_core.evaluation.figures import spectrogram_png

        gain = min(self.gain, PEAK / max(1e-9, float(np.abs(waveform.samples).max())))
        file_name = f"{_file_name(name)}.flac"
        write_audio(self.folder / file_name, waveform.scaled(gain), subtype="PCM_16")
        # Of the left channel, as opposite ones would cancel in a mean.
        picture = spectrogram_png(waveform.samples[0], waveform.sample_rate, top_db=self.top_db)
        uri = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
        softer_db = round(20.0 * float(np.log10(self.gain / gain)), 1)
        is_unchanged = waveform is not self.clean and np.array_equal(waveform.samples, self.clean.samples)
        return Heard(name, stage, summary, file_name, uri, damage, softer_db, is_unchanged)


def _file_name(name: str) -> str:
    return name.replace(":", "-")


def _html(title: str, versions: list[Heard], seed: int, variant: int) -> str:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    from audiobuff_core.evaluation.figures import tick_positions

    folders = [PackageLoader("audiobuff_core", f"{package}/templates") for package in ("commands", "evaluation")]
    environment = Environment(loader=ChoiceLoader(folders), undefined=StrictUndefined, autoescape=True)
    template = environment.get_template("kinds.html")
    return template.render(title=title, versions=versions, seed=seed, variant=variant, ticks=tick_positions())
