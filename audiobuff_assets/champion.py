"""Where the promoted network lies."""

from audiobuff_core.evaluation.release import load_champion
from audiobuff_core.files import exists, join
from resources.storage import storage_root


def champion_place() -> str | None:
    """The export of the champion of the instance here (or of AUDIOBUFF_ROOT); None where nothing was promoted."""
    root = storage_root()
    if not exists(join(root, "release", "champion.json")):
        return None
    return join(root, "checkpoints", load_champion(root).checkpoint)
