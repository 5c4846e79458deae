"""The champion of an instance: where it lies, who it was when and why, and the way back to an earlier one."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiobuff_core.evaluation.pointers import Pointer

CHAMPION = "model/champion"


def champion_place() -> str | None:
    """The export of the champion of the instance here (or of AUDIOBUFF_ROOT); None where nothing was promoted.

    Raises:
        CheckpointNotFound: the champion's export is gone.
    """
    from audiobuff_core.errors import CheckpointNotFound
    from audiobuff_core.evaluation.pointers import has_pointer
    from audiobuff_core.evaluation.release import load_champion
    from audiobuff_core.files import exists, join
    from audiobuff_core.models.schema import CONFIG_NAME
    from resources.storage import storage_root

    root = storage_root()
    if not has_pointer(root, "champion"):
        return None
    place = join(root, "checkpoints", load_champion(root).checkpoint)
    if not exists(join(place, CONFIG_NAME)):
        raise CheckpointNotFound(
            f"The champion is not at {place} any more: put it back, go back to an earlier one with `audiobuff champion "
            "--rollback`, or name a model with --checkpoint"
        )
    return place


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the command to a parser's sub-commands."""
    made = commands.add_parser(
        "champion",
        help="show who was champion when and why, or go back to an earlier one",
        description="The champion is the network that repairs what users bring. Without options, show its history. "
        "What is rolled back is not promoted again, unless by --to.",
        epilog="examples:\n"
        "  audiobuff champion                                    who was champion when, and why\n"
        "  audiobuff champion --rollback --reason 'hiss on tape' the one before it, from now on\n"
        "  audiobuff champion --rollback --to CHECKPOINT         a certain one that was champion",
    )
    made.add_argument("--rollback", action="store_true", help="make an earlier champion the champion again")
    made.add_argument("--to", metavar="CHECKPOINT", help="which one (default: the one before)")
    made.add_argument("--reason", default="", metavar="TEXT", help="why, for the history")
    made.add_argument(
        "--home", type=Path, metavar="DIR", help="Dagster home (default: the variable DAGSTER_HOME, else .dagster)"
    )  # fmt: skip
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    made.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show the history, or roll back and tell Dagster too.

    Raises:
        AudioBuffError: the options make no sense, or there is nothing to go back to.
    """
    from audiobuff_core.errors import InvalidConfig
    from audiobuff_core.evaluation.reigns import reigns, roll_back
    from resources.instance import DEFAULT_HOME, HOME_VARIABLE
    from resources.storage import ROOT_VARIABLE, storage_root

    if not arguments.rollback and (arguments.to or arguments.reason):
        raise InvalidConfig("audiobuff champion: --to and --reason go with --rollback")
    home = Path(arguments.home or os.environ.get(HOME_VARIABLE, "") or DEFAULT_HOME)
    # As assets and `restore` look for it: a home of its own has its data only where it is named.
    root = storage_root(os.environ.get(ROOT_VARIABLE, "") or (str(home / "data") if arguments.home else ""))
    if arguments.rollback:
        champion = roll_back(root, to=arguments.to, reason=arguments.reason)
        report_champion(home, champion, reigns(root)[-1].reason)
    print(history_in_words(root))
    return 0


def history_in_words(root: str) -> str:
    """A line for each reign, the champion of today marked, the oldest first."""
    from audiobuff_core.evaluation.reigns import reigns

    lines = [
        f"{'*' if one.until is None else ' '} {one.since} to {one.until or 'today':<25}  {one.checkpoint}: {one.reason}"
        for one in reigns(root)
    ]
    return "\n".join(lines) or f"There never was a champion at {root}: materialise model/champion"


def report_champion(home: Path, champion: "Pointer", reason: str) -> None:
    """Tell the Dagster instance of `home`, where there is one, who is champion, so that its lineage knows too."""
    if not (home / "dagster.yaml").is_file():
        return
    import dagster as dg

    from resources.currency import FINGERPRINT, PATH, recorded
    from resources.instance import open_instance

    asset = dg.AssetKey.from_user_string(CHAMPION)
    with open_instance(home.absolute()) as instance:
        # That of the last promotion: what led to it has not changed, and is not to be done again.
        mark = recorded(instance, asset, None, FINGERPRINT)
        metadata: dict[str, Any] = {PATH: dg.MetadataValue.path(champion.path), "checkpoint": champion.checkpoint}
        metadata |= {"reason": reason} | ({FINGERPRINT: mark} if mark else {})
        tags = {"dagster/data_version": champion.digest}
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, metadata=metadata, tags=tags))
