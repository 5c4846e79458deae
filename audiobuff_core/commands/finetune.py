"""`audiobuff finetune`: adapt a model to a person's own recordings and noise, and keep it only if that helped."""

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiobuff_core.commands.chosen_model import chosen_model
from audiobuff_core.errors import DataMissing, InvalidConfig

if TYPE_CHECKING:
    from audiobuff_core.codecs.registry import EncoderChoice
    from audiobuff_core.inference.restorer import Restorer

EXIT_FAILED = 1
DECIDING = ("si_sdr_db", "lsd_db")
# Held-out recordings are few: several clips of each, from end to end, tell more than one.
CLIP_SECONDS, CLIPS_A_RECORDING = 5.0, 8
# What it was trained with last: only the estimate, from the damaged recording itself.
AS_THE_ONE_IN_THE_BOX = {"start_share": 1.0, "p_tau": 0.0, "ratio_weight": 0.3}
_EXAMPLES = """examples:
  audiobuff finetune --clean my_music --out tuned
  audiobuff finetune --clean interviews --noise my_rooms_and_hiss --out tuned --max_steps 600
  audiobuff restore broken.wav -o mended.wav --checkpoint tuned/model

A quarter of the recordings is held out, is never trained on, and judges the model before and after, damaged alike. Into
OUT go the latents, the checkpoints, report/report.html with the table, and, unless the table says that it became worse,
the model as OUT/model. Run again, it goes on from what is finished. Exit code: 1 if the model became worse."""


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands."""
    made = commands.add_parser(
        "finetune",
        help="adapt the model in the box to your own recordings and noise",
        description="Damage your undamaged recordings, train the model on them a little further, and compare it before "
        "and after on recordings that it never heard. A model that became worse is not handed out.",
        epilog=_EXAMPLES,
    )
    add = made.add_argument
    add("--clean", required=True, metavar="DIR", help="undamaged recordings, a dozen or more")
    add("--noise", metavar="DIR", help="recordings of your noise alone: hiss, rooms, machines; joins the damage")
    add("--out", "-o", type=Path, default=Path("finetuned"), metavar="OUT", help="(default: ./%(default)s)")
    add("--model", "--checkpoint", metavar="PLACE", help="begin with this model (default: the one in the box)")
    add("--recipe", default="audiobuff", metavar="R", help="of the damage (default: %(default)s)")
    add("--variants", type=int, default=4, metavar="N", help="damaged variants a recording (default: %(default)s)")
    add("--max_files", type=int, metavar="N", help="only the first N recordings by name (default: all)")
    add("--max_steps", type=int, default=300, metavar="N", help="training steps (default: %(default)s)")
    add("--lr", type=float, default=1e-4, metavar="X", help="learning rate (default: %(default)s)")
    add("--seed", type=int, default=1337, help="of damage and training (default: %(default)s)")
    add("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prepare, train, compare, and hand the model out; 1 if it became worse, 3 if training was stopped and saved.

    Raises:
        AudioBuffError: the folders, options or model are of no use, or nothing is held out to judge by.
    """
    from audiobuff_core.inference.restorer import Restorer

    if arguments.noise and (arguments.recipe != "audiobuff" or not Path(arguments.noise).is_dir()):
        raise InvalidConfig(
            f"--noise {arguments.noise} --recipe {arguments.recipe}: expected a folder, and the recipe audiobuff; a "
            "recipe of your own names its folder of noise itself"
        )
    model, out = chosen_model(arguments.model, lambda: None), Path(arguments.out)
    restorer = Restorer.load(model)
    recipe = f"{arguments.recipe}@{Path(arguments.noise).absolute()}" if arguments.noise else arguments.recipe
    store = out / "store"
    prepare_store(arguments, store, recipe, encoders_of(restorer.meta))
    clean = held_out_clips(store, out / "report" / "clean")
    code = train_further(arguments, store, out / "checkpoints", model, str(restorer.meta["profile"]))
    if code:
        return code
    take_over_trust(restorer, out / "checkpoints")
    gains = compare(clean, model, out / "checkpoints", out / "report", recipe=recipe, seed=arguments.seed)
    return hand_out(gains, out)


def encoders_of(meta: Mapping[str, Any]) -> "EncoderChoice":
    """The encoders that a model was trained with."""
    from audiobuff_core.codecs.registry import EncoderChoice

    return EncoderChoice(**{stream: str(meta["encoders"][stream]) for stream in ("codec", "structure", "semantic")})


def prepare_store(arguments: argparse.Namespace, store: Path, recipe: str, encoders: "EncoderChoice") -> None:
    """As `audiobuff prepare`, by the model's own encoders."""
    from audiobuff_core.data.prepare_latents import PrepareOptions, prepare
    from audiobuff_core.progress import show_progress

    options = PrepareOptions(
        source_dir=arguments.clean,
        out_dir=str(store),
        sample_rate=None,
        segment_seconds=3.0,
        max_files=arguments.max_files,
        seed=arguments.seed,
        recipe=recipe,
        variants=arguments.variants,
        encoders=encoders,
    )
    with show_progress():
        snapshot = prepare(options)
    print(f"Prepared {sum(item.split == 'train' for item in snapshot.items)} damaged items to train on")


def held_out_clips(store: Path, folder: Path) -> Path:
    """Clips of the recordings that are held out, as floating-point WAV in `folder`.

    Raises:
        DataMissing: none is.
    """
    import numpy as np

    from audiobuff_core.audio.read import read_audio
    from audiobuff_core.audio.waveform import Waveform
    from audiobuff_core.audio.write import write_audio
    from audiobuff_core.data.ingest import load_pristine
    from audiobuff_core.data.library import list_shards

    root = str(store)
    tracks = [one for shard in list_shards(root) for one in load_pristine(root, shard).tracks]
    held_out = [one for one in tracks if one.split == "held_out"]
    if not held_out:
        raise DataMissing(
            f"None of {len(tracks)} recordings is held out, expected about a quarter, to judge the model by: add more "
            "recordings to --clean"
        )
    if folder.exists():
        shutil.rmtree(folder)  # of other recordings, perhaps
    for one in held_out:
        waveform = read_audio(one.path)
        length = round(CLIP_SECONDS * waveform.sample_rate)
        starts = range(0, max(1, waveform.num_samples - length + 1), length)
        for start in list(starts)[:: max(1, len(starts) // CLIPS_A_RECORDING)][:CLIPS_A_RECORDING]:
            samples = np.ascontiguousarray(waveform.samples[:, start : start + length])
            write_audio(folder / f"{one.track_id}-{start}.wav", Waveform(samples, waveform.sample_rate))
    print(f"{len(held_out)} recordings are held out to judge by")
    return folder


def train_further(arguments: argparse.Namespace, store: Path, folder: Path, model: str, profile: str) -> int:
    """As `audiobuff train --init_from`, with the profile that the model is of; its exit code."""
    from audiobuff_core.training import cli

    options = {
        "data_dir": store,
        "checkpoint_dir": folder,
        "profile": profile,
        "init_from": model,
        "max_steps": arguments.max_steps,
        "lr": arguments.lr,
        "warmup_steps": max(1, arguments.max_steps // 20),
        "seed": arguments.seed,
        **(AS_THE_ONE_IN_THE_BOX if profile == "builtin" else {}),
    }
    given = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    print(f"$ audiobuff train {' '.join(given)}", file=sys.stderr)
    return cli.run(cli.parser().parse_args(given))


def take_over_trust(restorer: "Restorer", folder: Path) -> None:
    """Let the judges of the model that it began with judge the new one too; the comparison tells whether they can."""
    from audiobuff_core.files import write_bytes
    from audiobuff_core.inference.opened import open_model
    from audiobuff_core.models.schema import TRUST_NAME

    (folder / TRUST_NAME).unlink(missing_ok=True)  # of an earlier run's weights
    if restorer.trust is not None:
        content = restorer.trust.to_bytes(open_model(str(folder)).content_hash)
        write_bytes(str(folder / TRUST_NAME), content)


def compare(
    clean: Path, model: str, tuned: Path, report: Path, *, recipe: str, seed: int
) -> dict[str, Mapping[str, Any]]:
    """Measure both models on the same damage into `report`; by each deciding metric, how much better `tuned` is."""
    from audiobuff_core.commands.evaluate import write_evaluation
    from audiobuff_core.commands.evaluate_model import damage_and_restore
    from audiobuff_core.evaluation.evaluation import evaluate
    from audiobuff_core.progress import show_progress

    degraded, before, codec = damage_and_restore(
        model, clean, None, report, recipe=recipe, seed=seed, name="before"
    )  # fmt: skip
    _, after, _ = damage_and_restore(str(tuned), clean, degraded, report, recipe=recipe, seed=seed, name="after")
    with show_progress():
        found = evaluate(clean, degraded, [after, before], metrics=DECIDING, codec=codec, seed=seed)
    write_evaluation(found, report)
    return {one["metric"]: one["gain"] for one in found.as_dict()["differences"]}


def hand_out(gains: Mapping[str, Mapping[str, Any]], out: Path) -> int:
    """Say what the comparison means, and leave the model at `out`/model unless it became worse; 1 if it did."""
    from audiobuff_core.evaluation.table import MATERIAL_DB
    from audiobuff_core.models.schema import TRUST_NAME

    titles = {"si_sdr_db": "SI-SDR", "lsd_db": "LSD"}
    for name in DECIDING:
        gain = gains[name]
        print(f"{titles[name]}: better by {gain['mean']:+.2f} dB [{gain['low']:+.2f}, {gain['high']:+.2f}]")
    clear = {name: gain["mean"] for name, gain in gains.items() if gain["excludes_zero"]}
    worse = [titles[name] for name, mean in clear.items() if mean <= -MATERIAL_DB]
    model = out / "model"
    if worse:
        if model.exists():
            shutil.rmtree(model)
        print(
            f"Worse by {' and '.join(worse)}: not handed out, keep the model that you had. Try fewer --max_steps, a "
            f"lower --lr or more recordings; what was trained is in {out / 'checkpoints'}",
            file=sys.stderr,
        )
        return EXIT_FAILED
    better = any(mean >= MATERIAL_DB for mean in clear.values())
    model.mkdir(parents=True, exist_ok=True)
    (model / TRUST_NAME).unlink(missing_ok=True)
    for name in ("weights.safetensors", "config.json", TRUST_NAME):
        if (out / "checkpoints" / name).exists():
            shutil.copyfile(out / "checkpoints" / name, model / name)
    print("Better." if better else "No clear difference: more --max_steps or recordings may make one.")
    print(f"Use it: audiobuff restore FILE -o REPAIRED --checkpoint {model}")
    return 0
