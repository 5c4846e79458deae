"""The model against peers on recordings that nothing has learned from: tidy faults, untidy ones, and an ablation.

    uv run python corpus/fetch.py --to ~/unseen --sources corpus/unseen.csv
    uv run python benchmarks/restoration.py --corpus ~/unseen/audio --out ~/restoration

Half of the clips are damaged by the recipe audiobuff (within the ranges of training, though never with these draws),
half by recipes/untidy.toml (two or three faults at once, many of them harder than in training). All systems are blind,
but for two operators who know every fault and its settings and undo one after the other. "usual tools" takes the one
classical tool that is usual for each; "operator" tries all of them, and keeps what comes nearest to the clean
recording, which nobody has at hand: a bound, which takes hours. Everything goes through the commands that users have;
what is done stays, so a run that is cut off goes on.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np

from audiobuff_assets import cli
from audiobuff_core.audio.read import read_audio
from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.audio.write import write_audio
from audiobuff_core.seeding import numpy_generator
from audiobuff_core.treatment.chain import TREATMENTS

HERE = Path(__file__).resolve().parent
RECIPES = {"tidy": "audiobuff", "untidy": str(HERE / "recipes" / "untidy.toml")}
CLIP_SECONDS = 5.0
QUIETEST_RMS = 0.01
METRICS = ("si_sdr_db", "lsd_db", "zimtohrli", "visqol_mos")
OURS = {"AudioBuff": (), "treatments alone": ("network",), "network alone": tuple(TREATMENTS)}
USUAL = "usual tools"
PEERS = (USUAL, "operator", "grooveclean", "noisereduce", "ffmpeg", "deepfilternet", "rnnoise")


def cut_clips(corpus: Path, to: Path, count: int, seed: int) -> None:
    """Write `count` clips that are no silence, in turn of every kind of recording, half for each recipe."""
    kinds = {folder.name: sorted(folder.glob("*.flac")) for folder in sorted(corpus.iterdir()) if folder.is_dir()}
    if not any(kinds.values()):
        raise SystemExit(f"No KIND/*.flac under {corpus}: make a corpus there by corpus/fetch.py --sources unseen.csv")
    for number in range(count):
        generator = numpy_generator("restoration benchmark", seed, number)
        kind = list(kinds)[number % len(kinds)]
        target = to / list(RECIPES)[number // len(kinds) % 2] / f"{number:03d}_{kind}.wav"
        if target.exists():
            continue
        while True:
            path = kinds[kind][int(generator.integers(len(kinds[kind])))]
            waveform = read_audio(path).mono()
            length = round(CLIP_SECONDS * waveform.sample_rate)
            first = int(generator.integers(0, max(1, waveform.num_samples - length)))
            clip = waveform.samples[:, first : first + length]
            if clip.shape[1] == length and float(np.sqrt(np.square(clip).mean())) > QUIETEST_RMS:
                break
        write_audio(target, Waveform(clip.copy(), waveform.sample_rate))


def run(*argv: str | Path, codes: tuple[int, ...] = (0,)) -> None:
    """One command of AudioBuff, as a user gives it; ends the benchmark where it fails."""
    print("audiobuff", *argv, flush=True)
    if cli.main([str(one) for one in argv]) not in codes:
        raise SystemExit(f"audiobuff {argv[0]} failed: see above")


def place_of(out: Path, name: str) -> Path:
    """Where the results of a system lie."""
    return out / "usual" / "operator" if name == USUAL else out / "restored" / name


def evaluate(out: Path, names: list[str]) -> None:
    """The report of all systems on all clips."""
    restored = [f"--restored={name}={place_of(out, name)}" for name in names]
    folders = ("--clean", out / "clean", "--degraded", out / "degraded")
    (out / "report" / "evaluation.json").unlink(missing_ok=True)
    # 1: an item that a tool moved in time is left out, and named.
    run("evaluate", *folders, *restored, "--metrics", ",".join(METRICS), "--out", out / "report", codes=(0, 1))


def print_table(out: Path) -> None:
    """The means of both halves, as the README shows them."""
    found = json.loads((out / "report" / "evaluation.json").read_text())
    items = [one for one in found["items"] if "degraded" in one["rows"]]
    print(f"\n{'':18s}" + "".join(f"{half:>40s}" for half in ("all", *RECIPES)))
    for row in ["degraded", *(one["name"] for one in found["systems"])]:
        cells = []
        for half in ("", *RECIPES):
            members = [one["rows"][row] for one in items if one["name"].startswith(half)]
            means = [np.mean([one[name] for one in members if one.get(name) is not None]) for name in METRICS]
            cells.append("".join(f"{value:10.2f}" for value in means))
        print(f"{row:18s}" + "".join(cells))


def main() -> int:
    """Cut, damage, restore by everything, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of kinds: music, voice, effect")
    parser.add_argument("--out", type=Path, required=True, help="folder for clips, outputs and report")
    parser.add_argument("--items", type=int, default=96, help="clips (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1337, help="(default: %(default)s)")
    parser.add_argument("--model", help="a checkpoint or export (default: the model in the box)")
    parser.add_argument("--peers", default=",".join(PEERS), metavar="A,B", help="(default: %(default)s)")
    arguments = parser.parse_args()
    out = arguments.out
    cut_clips(arguments.corpus, out / "clean", arguments.items, arguments.seed)
    for half, recipe in RECIPES.items():
        run("degrade", out / "clean" / half, out / "degraded" / half, "--recipe", recipe)
    model = ("--model", arguments.model) if arguments.model else ()
    for name, without in OURS.items():
        left_out = ("--without", ",".join(without)) if without else ()
        run("restore", out / "degraded", "-o", out / "restored" / name, *left_out, *model)
    peers = [name for name in arguments.peers.split(",") if name]
    if USUAL in peers:
        run("baselines", out / "degraded", "--out", out / "usual", "--only", "operator")
    if others := [name for name in peers if name != USUAL]:
        folders = (out / "degraded", "--clean", out / "clean", "--out", out / "restored")
        run("baselines", *folders, "--only", ",".join(others))
    evaluate(out, [*OURS, *(name for name in peers if place_of(out, name).is_dir())])
    print_table(out)
    shutil.copy(out / "report" / "evaluation.json", HERE / "restoration.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
