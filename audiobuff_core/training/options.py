"""The command line of training: one flag for each option of a run, and the original's flags. Imports no torch."""

import argparse
import re
from dataclasses import fields

from audiobuff_core.training.config import PROFILE_NAMES, PROFILES, TrainingConfig
from audiobuff_core.training.original_flags import ORIGINAL_WIDTHS

EXAMPLES = """\
examples:
  audiobuff train --data_dir ./latents --dry_run            what it would do, and the memory it would take
  audiobuff train --data_dir ./latents --profile smoke      one epoch, to try the path
  torchrun --nproc_per_node=2 train.py --profile poc        two processes: the same training, twice the batch
  torchrun --nnodes=2 --nproc_per_node=8 --rdzv-backend=c10d --rdzv-endpoint=HOST:29500 train.py --profile full
  audiobuff train --init_from OLD.pt --lr 2e-5              fine-tune a checkpoint, the original's too
  audiobuff train --batch_size 1 --grad_accum_steps 16 --gradient_checkpointing     where memory is short

Run again with the same --checkpoint_dir it goes on where it stopped, to the bit; Ctrl-C saves first. It leaves
checkpoint_best.pt, the last two epochs, training_log.jsonl, loss.png and an export (weights.safetensors, config.json).
"""


def add_options(made: argparse.ArgumentParser) -> None:
    """Add all flags to `made`; those left out come from the profile."""
    made.usage = "%(prog)s [--data_dir DIR] [--profile NAME] [--checkpoint_dir DIR] [options]"
    made.epilog = EXAMPLES
    add = made.add_argument
    add("--data_dir", default="./latents", metavar="DIR", help="what prepare left (default: %(default)s)")
    add("--snapshot", metavar="JSON", help="training snapshot that names the latents, instead of --data_dir")
    add("--checkpoint_dir", default="./checkpoints", metavar="DIR", help="folder or URL (default: %(default)s)")
    add("--profile", default="poc", choices=PROFILE_NAMES, help="preset of the options below (default: %(default)s)")
    add("--resume_path", metavar="PT", help="checkpoint to go on from, where --checkpoint_dir has none further")
    add("--init_from", metavar="CHECKPOINT", help="begin with these weights: ours, an export, or the original's")
    add("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help="default: the best there is")
    add("--dry_run", action="store_true", help="print sizes, memory and steps; train nothing, write nothing")
    add("--tensorboard", action="store_true", help="log for TensorBoard too, in the folder tensorboard")
    add("--amp", action="store_const", const=True, help="low precision where the device has it")
    add("--no_amp", dest="amp", action="store_const", const=False, help="the same as --precision fp32")
    for name, original in ORIGINAL_WIDTHS.items():
        add(f"--{name}", type=int, metavar="N", help=f"checked against the latents (the original's: {original})")
    explained, defaults = _explanations(), PROFILES["poc"]
    for field in fields(TrainingConfig):
        said = f"{explained[field.name]} (poc: {getattr(defaults, field.name)})".replace("%", "%%")
        if field.type is bool:
            add(f"--{field.name}", action=argparse.BooleanOptionalAction, default=None, help=said)
            continue
        kind = {"int | None": int, "float | None": float}.get(str(field.type), field.type)
        assert isinstance(kind, type)
        add(f"--{field.name}", type=kind, default=None, metavar=kind.__name__.upper(), help=said)
    add("--debug", action="store_true", help="show the traceback of an error")


def _explanations() -> dict[str, str]:
    """What the docstring of `TrainingConfig` says of each field; nothing where Python runs without docstrings."""
    said: dict[str, str] = {field.name: "" for field in fields(TrainingConfig)}
    text = re.sub(r"\n {9,}", " ", TrainingConfig.__doc__ or "")
    said |= {name: words.rstrip(".") for name, words in re.findall(r"^ {8}(\w+): (.*)$", text, re.MULTILINE)}
    return said
