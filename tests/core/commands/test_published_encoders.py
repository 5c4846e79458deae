"""From recordings to restored ones with DAC, X-Codec and AudioMAE, by the commands that a user has."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiobuff_assets import cli as audiobuff
from audiobuff_core.files import read_json

sys.path.insert(0, str(Path(__file__).parent.parent / "codecs"))
from small_networks import SMALL_DAC, SMALL_XCODEC, save_audiomae, save_descript, save_xcodec

ROOT = Path(__file__).parents[3]
CLIPS = ("loop_tabla.flac", "loop_safari.flac")
SMALL = ["--d_model", "32", "--n_heads", "2", "--depth", "1", "--hidden_dim", "32"]
# A flow that starts at the damaged latents corrects nothing after so few steps, and would copy the recording.
FROM_NOISE = ["--source", "noise"]


def assert_restored(folder: Path) -> None:
    """Each clip is there, as long as it was, and not what it was."""
    for name in CLIPS:
        before, rate = soundfile.read(ROOT / "audiobuff_assets/corpus" / name)
        after, rate_after = soundfile.read(folder / name)
        assert (after.shape, rate_after) == (before.shape, rate)
        assert np.isfinite(after).all()
        assert np.abs(after - before).max() > 1e-3
        report = read_json(str(folder / f"{name}.json"))
        made_by = {stream: facts["name"] for stream, facts in report["model"]["encoders"].items()}
        assert made_by["structure"] == "xcodec"
        assert made_by["semantic"] == "audiomae"
        assert made_by["target"].startswith("dac-")


@pytest.mark.slow
@pytest.mark.parametrize("space", ["dac", "dac-summed"])
def test_prepare_train_restore(tmp_path, monkeypatch, space):
    save_descript(tmp_path / "dac.pth", SMALL_DAC)
    save_xcodec(tmp_path / "xcodec", SMALL_XCODEC)
    save_audiomae(tmp_path / "audiomae")
    for name, place in (("DAC", "dac.pth"), ("XCODEC", "xcodec"), ("AUDIOMAE", "audiomae")):
        monkeypatch.setenv(f"AUDIOBUFF_{name}_WEIGHTS", str(tmp_path / place))
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in CLIPS:
        (clips / name).write_bytes((ROOT / "audiobuff_assets/corpus" / name).read_bytes())
    latents, run, restored = (str(tmp_path / name) for name in ("latents", "run", "restored"))
    assert audiobuff.main(["prepare", "--source_dir", str(clips), "--out_dir", latents, "--codec", space]) == 0
    train = ["train", "--data_dir", latents, "--checkpoint_dir", run, "--profile", "smoke", "--max_steps", "1", *SMALL]
    assert audiobuff.main([*train, *FROM_NOISE]) == 0
    assert audiobuff.main(["restore", str(clips), "-o", restored, "--checkpoint", run, "--steps", "1"]) == 0
    assert_restored(tmp_path / "restored")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_full_size(tmp_path):
    out, restored = tmp_path / "full_size.json", tmp_path / "restored"
    command = [sys.executable, str(ROOT / "benchmarks/full_size.py"), "--out", str(out), "--restored", str(restored)]
    subprocess.run([*command, "--profile", "smoke", *SMALL], check=True)
    assert_restored(restored)
    measured = json.loads(out.read_text())
    assert all(measured[stage]["seconds"] > 0 for stage in ("prepare", "train", "restore"))
    assert 1 < max(measured[stage]["peak_gib"] for stage in ("prepare", "restore")) < 6
