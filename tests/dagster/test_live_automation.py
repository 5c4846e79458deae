"""Everything automatic, live: recordings, checkpoints and damaged files are dropped, and the rest happens by itself."""

import hashlib
import json
import shutil
import time

import numpy as np
import pytest
import safetensors.numpy
import soundfile
from browser import dagster_dev
from made_corpus import make_corpus

from audiobuff_core.evaluation.held_out import EVALUATION_KINDS

pytestmark = pytest.mark.slow
SWITCHED_ON = {
    "AUDIOBUFF_AUTOMATION": "on",
    "AUDIOBUFF_PRESET": "test",
    "AUDIOBUFF_TICK_SECONDS": "5",
    "AUDIOBUFF_SETTLE_SECONDS": "1",
    "AUDIOBUFF_TRACKS_PER_SHARD": "16",
}
NUM_KINDS = len(EVALUATION_KINDS)


@pytest.mark.timeout(1200)
def test_from_a_dropped_recording_to_a_repaired_file(tmp_path):
    corpus, home = tmp_path / "corpus", tmp_path / "home"
    inbox, restored = home / "data" / "inbox", home / "data" / "restored"
    make_corpus(corpus)
    inbox.mkdir(parents=True)
    variables = {**SWITCHED_ON, "AUDIOBUFF_INCOMING": str(corpus)}
    with dagster_dev(home, tmp_path / "log", **variables) as browser:
        browser.wait_for(lambda: browser.counts("latents/semantic").get("numMaterialized") == 1, 300)
        browser.wait_for(lambda: browser.counts("evaluation/degraded").get("numMaterialized", 0) >= NUM_KINDS, 200)
        made = {path: path.stat().st_mtime_ns for path in (home / "data" / "audio" / "pristine").rglob("*.flac")}
        soundfile.write(corpus / "late.wav", np.random.default_rng(5).uniform(-0.3, 0.3, 44_100), 44_100)
        browser.wait_for(lambda: browser.counts("latents/semantic").get("numMaterialized") == 2, 200)
        assert {path: path.stat().st_mtime_ns for path in made} == made  # only what is new is made
        assert len(browser.partitions("audio/pristine")) == 2

        assert browser.dry_run("weekly_retraining") == ""  # it would train: data is there
        browser.materialise(["dataset/training_snapshot", "model/dit_checkpoint"])
        assert "No data changed since the last checkpoint" in browser.dry_run("weekly_retraining")
        browser.wait_for(lambda: browser.newest("model/champion"), 400)
        champion = browser.newest("model/champion")
        name = json.loads((home / "data" / "release" / "champion.json").read_text())["checkpoint"]
        evaluated = [found for found in browser.runs() if name in found.get("dagster/partition", "")]
        assert len(evaluated) == NUM_KINDS  # one run a kind of damage

        make_worse(home / "data" / "checkpoints" / name, home / "data" / "checkpoints" / "worse")
        (passed, why) = browser.wait_for(lambda: refused(browser), 400)
        assert not passed
        assert "worse by" in why
        assert browser.newest("model/champion") == champion

        shutil.copy(corpus / "inbox" / "damaged.wav", inbox / "tape.wav")
        (inbox / "words.wav").write_text("no audio")
        browser.wait_for(lambda: list(restored.glob("tape-*.wav.json")), 200)
        browser.wait_for(lambda: (inbox / "refused" / "words.wav.reason.txt").is_file(), 200)
        told = browser.wait_for(lambda: failures(home, why[:100], "words"), 60)
        assert all("/runs/" in line for line in told)
    assert (inbox / "tape.wav").is_file()
    shutil.copy(corpus / "inbox" / "damaged.wav", inbox / "copy.wav")  # while nothing runs
    with dagster_dev(home, tmp_path / "log", **variables) as browser:
        browser.wait_for(lambda: list(restored.glob("copy-*.wav.json")), 200)
        time.sleep(12)  # two more ticks
        repaired = [run["dagster/partition"] for run in browser.runs() if "tape-" in run.get("dagster/partition", "")]
        assert len(repaired) == 1
    assert failures(home, why[:100], "words")


def make_worse(champion, folder):
    """A finished checkpoint, as from another machine, of a network whose every weight is random."""
    generator = np.random.default_rng(1)
    weights = safetensors.numpy.load((champion / "weights.safetensors").read_bytes())
    for name, values in weights.items():
        if np.issubdtype(values.dtype, np.floating) and not name.startswith("stat."):
            weights[name] = (values + generator.standard_normal(values.shape)).astype(values.dtype)
    data = safetensors.numpy.save(weights)
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(data)
    for name in ("config.json", "done.json"):
        content = json.loads((champion / name).read_text()) | {"weights_sha256": hashlib.sha256(data).hexdigest()}
        (folder / name).write_text(json.dumps(content))


def refused(browser):
    """The newest verdict on the candidate, and its reason, once there is one that is not of the first."""
    passed, seen = browser.verdict("model/candidate", "not_worse_than_champion") or (True, {})
    return None if passed else (passed, seen["reason"])


def failures(home, *parts):
    """Lines of the failure log, one for each of `parts`; nothing until all are there."""
    log = home / "failed_runs.log"
    lines = log.read_text().splitlines() if log.is_file() else []
    found = [line for part in parts for line in lines if part[:200] in line]
    return found if len(found) == len(parts) else None
