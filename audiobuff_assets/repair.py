"""Repairs a user's own file by the model of the demo."""

from pathlib import Path

from audiobuff_assets.demo import opened, run_demo, trained_checkpoint
from audiobuff_assets.options import DemoOptions
from audiobuff_core.files import exists, join
from resources.storage import storage_root


def repair(source: Path, destination: Path, options: DemoOptions) -> None:
    """Write the repaired `source` to `destination`; where the demo has no model yet, run the demo first.

    Raises:
        AudioBuffError: the file can't be used, or the place not written; nothing is left half written.
    """
    model = _model(options)
    if model is None:
        print("There is no model yet: running the demo first, which takes minutes.", flush=True)
        run_demo(options)
        model = _model(options)
        assert model is not None
    from audiobuff_core.inference.restore_file import restore_file
    from audiobuff_core.inference.restorer import Restorer
    from audiobuff_core.progress import show_progress

    restorer = Restorer.load(model)
    print(f"Model: {model} (profile {restorer.meta['profile']}, seed {restorer.meta['seed']})", flush=True)
    with show_progress():
        report = restore_file(source, destination, restorer)
    print(f"Repaired {source} in {report['seconds']:.1f} s: {destination} (its report: {destination}.json)")


def _model(options: DemoOptions) -> str | None:
    if not (options.home / "dagster.yaml").exists():
        return None
    with opened(options) as instance:
        checkpoint = trained_checkpoint(instance)
    if checkpoint is None:
        return None
    place = join(storage_root(), "checkpoints", checkpoint)
    return place if exists(join(place, "done.json")) else None
