"""`audiobuff export CHECKPOINT DIR`: the weights alone, with their config and a model card."""

import argparse
from typing import TYPE_CHECKING, Any

from audiobuff_core.errors import InvalidConfig

if TYPE_CHECKING:
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
        "  audiobuff export checkpoints/checkpoint_best.pt s3://team/models/june",
    )
    made.add_argument("checkpoint", metavar="CHECKPOINT", help="a .pt file of this project or of the original")
    made.add_argument("folder", metavar="DIR", help="new or empty folder, or a folder or URL with an earlier export")
    made.add_argument(
        "--weights", default="ema", choices=("ema", "model"), help="averaged or plain weights (default: %(default)s)"
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
    export_checkpoint(checkpoint, arguments.folder, weights=arguments.weights, storage=storage)
    print(f"Exported the {arguments.weights} weights of {arguments.checkpoint} ({checkpoint.architecture}): ", end="")
    print(arguments.folder)
    return 0


def export_checkpoint(
    checkpoint: "Checkpoint", folder: str, *, weights: str = "ema", storage: "Storage" = "float32"
) -> None:
    """Write one set of weights of `checkpoint`, its config and a model card to `folder`.

    Raises:
        InvalidCheckpoint: it does not have these weights, or they do not fit its sizes.
        InvalidConfig: `folder` holds files that are no export, or the original's network is to be stored smaller.
        OutputNotWritable: `folder` can't be written.
    """
    from audiobuff_core.commands.model_card import model_card
    from audiobuff_core.files import join, write_bytes
    from audiobuff_core.inference.checkpoints import LegacyCheckpoint
    from audiobuff_core.models.legacy_export import LegacyExport, write_legacy_export
    from audiobuff_core.models.schema import write_export

    _refuse_foreign(folder)
    state = checkpoint.network("ema" if weights == "ema" else "model").state_dict()  # every weight fits
    if isinstance(checkpoint, LegacyCheckpoint):
        if storage != "float32":
            flag = "--half" if storage == "float16" else "--int8"
            raise InvalidConfig(f"{flag}: the original's network is kept as it was, in float32; leave it out")
        meta = checkpoint.facts["meta"] | {"epoch": checkpoint.facts["epoch"]}
        content_hash = write_legacy_export(folder, LegacyExport(checkpoint.config, weights, state, meta))
    else:
        meta = checkpoint.facts["meta"] | ({} if weights == "ema" else {"weights": weights})
        content_hash = write_export(folder, state, checkpoint.config, checkpoint.standardisers, meta, storage=storage)
    write_bytes(join(folder, CARD_NAME), model_card(checkpoint, weights, content_hash).encode())


def _refuse_foreign(folder: str) -> None:
    """An export never overwrites files that are not an export's."""
    import fsspec

    from audiobuff_core.inference.loading import is_export

    filesystem, path = fsspec.core.url_to_fs(folder)
    if filesystem.exists(path) and not filesystem.isdir(path):
        raise InvalidConfig(f"{folder} is a file: expected a new or empty folder")
    if filesystem.exists(path) and filesystem.ls(path, detail=False) and not is_export(folder):
        raise InvalidConfig(f"{folder} has files in it that are no export: choose a new or empty folder")
