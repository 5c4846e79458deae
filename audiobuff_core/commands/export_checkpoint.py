"""`audiobuff export CHECKPOINT DIR`: the weights alone, with their config and a model card."""

import argparse
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from audiobuff_core.errors import InvalidConfig

if TYPE_CHECKING:
    from torch import Tensor

    from audiobuff_core.inference.checkpoints import Weights
    from audiobuff_core.inference.loading import Checkpoint
    from audiobuff_core.models.schema import Storage

CARD_NAME = "README.md"


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands."""
    made = commands.add_parser(
        "export",
        help="write a checkpoint's weights for inference",
        description="Write weights.safetensors, config.json and a model card (README.md): all that restoring needs, "
        "without what only training needs.",
        epilog="examples:\n"
        "  audiobuff export checkpoints/checkpoint_best.pt model\n"
        "  audiobuff export checkpoints/checkpoint_best.pt model --half\n"
        "  audiobuff export checkpoints/checkpoint_best.pt s3://team/models/june\n"
        "  audiobuff export last/checkpoint_best.pt model --mean_with before/checkpoint_best.pt=0.5",
    )
    made.add_argument("checkpoint", metavar="CHECKPOINT", help="a .pt file of this project or of the original")
    made.add_argument("folder", metavar="DIR", help="new or empty folder, or a folder or URL with an earlier export")
    made.add_argument(
        "--weights", default="ema", choices=("ema", "model"), help="averaged or plain weights (default: %(default)s)"
    )
    made.add_argument(
        "--mean_with",
        nargs="+",
        default=[],
        metavar="CHECKPOINT[=SHARE]",
        help="write the mean of its weights and these, of trainings that went on from one another; a share of 2 counts "
        "twice as much as CHECKPOINT (default: 1)",
    )
    size = made.add_mutually_exclusive_group()
    size.add_argument("--half", action="store_true", help="store the weights as float16: half the size")
    size.add_argument("--int8", action="store_true", help="store the matrices in whole numbers: a quarter of the size")
    made.add_argument("--n_heads", type=int, help="attention heads of an original checkpoint that does not say them")
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the export and say where it is; errors as `export_checkpoint`."""
    from audiobuff_core.inference.loading import load_checkpoint

    checkpoint = load_checkpoint(arguments.checkpoint, n_heads=arguments.n_heads)
    storage: Storage = "float16" if arguments.half else "int8" if arguments.int8 else "float32"
    shares = dict(map(_share, arguments.mean_with))
    if len(shares) < len(arguments.mean_with):
        raise InvalidConfig(f"--mean_with {' '.join(arguments.mean_with)}: one is named twice; give it a larger share")
    others = {load_checkpoint(place, n_heads=arguments.n_heads): share for place, share in shares.items()}
    export_checkpoint(checkpoint, arguments.folder, weights=arguments.weights, storage=storage, others=others)
    mean = " and ".join([arguments.checkpoint, *shares])
    print(f"Exported the {arguments.weights} weights of {mean} ({checkpoint.architecture}): ", end="")
    print(arguments.folder)
    return 0


def _share(given: str) -> tuple[str, float]:
    place, equals, share = given.rpartition("=")
    try:
        number = float(share) if equals else 1.0
    except ValueError:
        place, equals, number = given, "", 1.0
    if not (0 < number < math.inf):
        raise InvalidConfig(f"--mean_with {given}: expected a share above 0, as in {place}=0.5")
    return (place if equals else given), number


def export_checkpoint(
    checkpoint: "Checkpoint",
    folder: str,
    *,
    weights: "Weights" = "ema",
    storage: "Storage" = "float32",
    others: "Mapping[Checkpoint, float] | None" = None,
) -> None:
    """Write one set of weights of `checkpoint`, its config and a model card to `folder`.

    Args:
        checkpoint: where the weights, or all but the weights, come from.
        folder: path or URL.
        weights: `ema` or `model`.
        storage: how they are stored.
        others: what to take the mean with, and how much each counts beside 1 for `checkpoint`.

    Raises:
        InvalidCheckpoint: it does not have these weights, or they do not fit its sizes.
        InvalidConfig: `folder` holds files that are no export, the original's network is to be stored smaller, or there
            is no mean with one of `others`.
        OutputNotWritable: `folder` can't be written.
    """
    from audiobuff_core.commands.model_card import model_card
    from audiobuff_core.files import join, write_bytes
    from audiobuff_core.inference.checkpoints import LegacyCheckpoint
    from audiobuff_core.models.legacy_export import LegacyExport, write_legacy_export
    from audiobuff_core.models.schema import write_export

    _refuse_foreign(folder)
    state = mean_weights(checkpoint, others or {}, weights)
    if isinstance(checkpoint, LegacyCheckpoint):
        if storage != "float32":
            flag = "--half" if storage == "float16" else "--int8"
            raise InvalidConfig(f"{flag}: the original's network is kept as it was, in float32; leave it out")
        meta = checkpoint.facts["meta"] | {"epoch": checkpoint.facts["epoch"]}
        content_hash = write_legacy_export(folder, LegacyExport(checkpoint.config, weights, state, meta))
    else:
        meta = checkpoint.facts["meta"] | ({} if weights == "ema" else {"weights": weights})
        if others:
            meta["mean_of"] = [_told(one, share) for one, share in [(checkpoint, 1.0), *others.items()]]
        content_hash = write_export(folder, state, checkpoint.config, checkpoint.standardisers, meta, storage=storage)
    write_bytes(join(folder, CARD_NAME), model_card(checkpoint, weights, content_hash).encode())


def mean_weights(
    checkpoint: "Checkpoint", others: "Mapping[Checkpoint, float]", weights: "Weights"
) -> "dict[str, Tensor]":
    """The mean of one set of weights of `checkpoint`, which counts 1, and of `others`, which count as much as they say.

    What one training has found and what it found while it went on often lie in one valley, whose middle is better than
    either (Wortsman et al. 2022, "Model soups").

    Raises:
        InvalidCheckpoint: one does not have these weights, or they do not fit its sizes.
        InvalidConfig: one of `others` is another network, or hears other latents.
    """
    import torch

    whole = checkpoint.network(weights).state_dict()  # every weight fits
    if not others:
        return whole
    _refuse_strangers(checkpoint, others)
    total = 1.0 + sum(others.values())
    mean = {name: value.double() / total for name, value in whole.items()}
    for other, share in others.items():
        for name, value in other.network(weights).state_dict().items():
            mean[name] += value.double() * (share / total)
    return {name: value.to(torch.float32) for name, value in mean.items()}


def _refuse_strangers(checkpoint: "Checkpoint", others: "Mapping[Checkpoint, float]") -> None:
    import torch

    from audiobuff_core.inference.checkpoints import LegacyCheckpoint

    if isinstance(checkpoint, LegacyCheckpoint):
        raise InvalidConfig(f"--mean_with: {checkpoint.place} is the original's network, of which no means are taken")
    for other in others:
        if isinstance(other, LegacyCheckpoint) or other.config != checkpoint.config:
            raise InvalidConfig(f"--mean_with {other.place}: it is another network than {checkpoint.place}")
        same = all(
            torch.equal(getattr(one, name), getattr(checkpoint.standardisers[stream], name))
            for stream, one in other.standardisers.items()
            for name in ("mean", "std")
        )
        if not same or other.facts["meta"].get("identities") != checkpoint.facts["meta"].get("identities"):
            raise InvalidConfig(
                f"--mean_with {other.place}: it hears other latents than {checkpoint.place}; train it with --init_from"
            )


def _told(checkpoint: "Checkpoint", share: float) -> dict[str, Any]:
    meta = checkpoint.facts["meta"]
    return {"share": share} | {name: meta[name] for name in ("seed", "snapshot_digest") if name in meta}


def _refuse_foreign(folder: str) -> None:
    """An export never overwrites files that are not an export's."""
    import fsspec

    from audiobuff_core.inference.loading import is_export

    filesystem, path = fsspec.core.url_to_fs(folder)
    if filesystem.exists(path) and not filesystem.isdir(path):
        raise InvalidConfig(f"{folder} is a file: expected a new or empty folder")
    if filesystem.exists(path) and filesystem.ls(path, detail=False) and not is_export(folder):
        raise InvalidConfig(f"{folder} has files in it that are no export: choose a new or empty folder")
