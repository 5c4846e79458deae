"""The README.md beside exported weights."""

from typing import TYPE_CHECKING

from audiobuff_core import __version__
from audiobuff_core.commands.describe import kind_of
from audiobuff_core.models.legacy import LEGACY_ARCHITECTURE

if TYPE_CHECKING:
    from audiobuff_core.inference.loading import Checkpoint

_OURS = """\
The network moves the latent of a damaged recording to that of a clean one (latent conditional flow matching, a
diffusion transformer), guided by a structure and a semantic stream of the same recording.
"""
_LEGACY = """\
The original AudioBuff's network, unchanged: it makes clean latents out of noise, guided by X-Codec and AudioMAE
features stretched to the latent's length. It has no positions and no view of the damaged latent, and which clock and
encoder revisions its features had is not recorded. Use it to go on from old work, not to begin new work.
"""


def model_card(checkpoint: "Checkpoint", weights: str, content_hash: str) -> str:
    """What the weights are, what they were trained on, how to use them, and what is not known of them."""
    legacy = checkpoint.architecture == LEGACY_ARCHITECTURE
    rows = [
        ("architecture", checkpoint.architecture),
        ("weights", "averaged (EMA)" if weights == "ema" else "plain, not averaged"),
        ("parameters", f"{sum(tensor.numel() for tensor in checkpoint.weight_sets[weights].values()):,}"),
        ("weights SHA-256", content_hash),
        ("exported from", f"a {kind_of(checkpoint)}, by AudioBuff {__version__}"),
        *((name, str(value)) for name, value in checkpoint.sizes.items()),
        *_training(checkpoint),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return (
        f"# AudioBuff: audio restoration, {checkpoint.architecture}\n\n{_LEGACY if legacy else _OURS}\n"
        f"| | |\n|---|---|\n{table}\n\n## Use\n\n```python\n"
        "from audiobuff_core.inference.loading import load_checkpoint\n\n"
        'checkpoint = load_checkpoint("path/to/this/folder")\n'
        f"velocity = checkpoint.velocity(x_t, t, xcodec=..., audiomae=...{'' if legacy else ', damaged=...'}"
        f"{'' if weights == 'ema' or not legacy else ', weights=' + repr(weights)})\n```\n\n"
        "## Limits\n\nThe weights come without a quality figure here: measure them on recordings that they have not\n"
        "seen. What they invent where sound is missing is plausible at best;\nit is no evidence of what was there.\n\n"
        "## Licence\n\nThe code is MIT. Whether the weights may be shared depends on the recordings that they were "
        "trained\non, which only their trainer knows.\n"
    )


def _training(checkpoint: "Checkpoint") -> list[tuple[str, str]]:
    """The rows on training that the checkpoint can fill."""
    facts, meta = checkpoint.facts, checkpoint.facts.get("meta", {})
    rows = [("training profile", meta.get("profile")), ("epoch", facts.get("epoch"))]
    rows += [(f"{stream} encoder", name) for stream, name in meta.get("encoders", {}).items()]
    rows += [("snapshot digest", meta.get("snapshot_digest"))]
    rows += [(f"training {name}", value) for name, value in facts.get("metrics", {}).items()]
    return [(name, str(value)) for name, value in rows if value is not None]
