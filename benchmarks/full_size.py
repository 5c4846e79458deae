"""The three published encoders in their full sizes, from recordings to restored ones, by a user's own commands.

    uv run python benchmarks/full_size.py

Prepares two recordings, trains a few steps at 256 frames and restores both, each a process of `audiobuff` with nothing
to download from, and writes how long it took and how much memory it had at most. The weights are random, of the
published sizes, so what comes out is noise; --weights names a folder with others. Every flag that is not known here
goes to `audiobuff train`, such as --profile full or --d_model 64 --n_heads 2 --depth 2.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audiobuff_core.files import write_json

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "audiobuff_assets/corpus"
CLIPS = (CORPUS / "loop_tabla.flac", CORPUS / "loop_safari.flac")
SEGMENT_FRAMES = 256


def stage(command: Sequence[str], weights: Path) -> dict[str, Any]:
    """Seconds and GiB of `audiobuff` with these arguments; ends the program if it fails."""
    whole = [sys.executable, "-m", "audiobuff_assets.cli", *command]
    begin = time.perf_counter()
    offline = {"AUDIOBUFF_WEIGHTS": str(weights), "HF_HUB_OFFLINE": "1"}
    running = subprocess.Popen(whole, env=os.environ | offline)
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        sys.exit(f"audiobuff {' '.join(command)} ended with {running.returncode}")
    in_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    found = {"seconds": round(time.perf_counter() - begin, 1), "peak_gib": round(in_bytes / (1 << 30), 2)}
    print(f"{command[0]:<8} {found['seconds']:7.1f} s  {found['peak_gib']:5.2f} GiB at most", flush=True)
    return found


def main() -> None:
    """Run the stages, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--clips", type=Path, nargs="+", default=CLIPS, metavar="FILE", help="default: two bundled")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="weights folder (default: random ones are made)")
    parser.add_argument("--max_steps", type=int, default=3, help="of training (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=2, help="of the solver (default: %(default)s)")
    parser.add_argument("--restored", type=Path, metavar="DIR", help="keep what was restored here")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/full_size.json"))
    arguments, flags = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        weights = arguments.weights or place / "weights"
        if arguments.weights is None:
            # In a process of its own: what this one ever had counts in what its children had at most.
            subprocess.run([sys.executable, str(ROOT / "scripts/random_weights.py"), str(weights)], check=True)
        clips = place / "clips"
        clips.mkdir()
        for clip in arguments.clips:
            (clips / clip.name).write_bytes(clip.read_bytes())
        latents, run, restored = place / "latents", place / "run", arguments.restored or place / "restored"
        stages = {
            "prepare": ["--source_dir", str(clips), "--out_dir", str(latents)],
            "train": [
                "--data_dir", str(latents), "--checkpoint_dir", str(run), "--segment_frames", str(SEGMENT_FRAMES),
                "--batch_size", "1", "--grad_accum_steps", "1", "--epochs", "1000", "--save_every_epochs", "1000",
                # Started at the damaged latents, so few steps would correct nothing, and nothing would be decoded.
                "--max_steps", str(arguments.max_steps), "--source", "noise", *flags,
            ],
            "restore": [str(clips), "-o", str(restored), "--checkpoint", str(run), "--steps", str(arguments.steps)],
        }  # fmt: skip
        result = {name: stage([name, *options], weights.absolute()) for name, options in stages.items()}
    write_json(arguments.out, {"clips": [clip.name for clip in arguments.clips], "train_flags": flags, **result})


if __name__ == "__main__":
    main()
