"""notebooks/AudioRepairAI_Colab.ipynb runs as it is: profile smoke, built-in encoders, no weights, no GPU.

What executes it takes a minute, so `.ci/run` gives it a step of its own.
"""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from audiobuff_core.audio.read import read_audio
from audiobuff_core.evaluation.metrics.si_sdr import si_sdr_db

PROJECT = Path(__file__).parents[2]
NOTEBOOK = PROJECT / "notebooks/AudioRepairAI_Colab.ipynb"
NAMES = (
    "PROFILE", "RUN_PREP", "RUN_TRAIN", "RUN_INFER", "RAW_AUDIO_DIR", "INFER_INPUT_WAV", "RESUME_FROM_LATEST",
    "DAC_MODEL_TYPE", "SEED", "XCODEC_GIT_URL", "DRIVE_ROOT",
)  # fmt: skip


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def code_of(notebook):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def test_it_is_committed_without_outputs(notebook):
    nbformat.validate(notebook)
    assert [
        cell for cell in notebook.cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)
    ] == []


def test_names_and_profiles_are_the_originals(notebook):
    code = code_of(notebook)
    for name in NAMES:
        assert re.search(rf"^{name} = ", code, re.MULTILINE), name
    found = re.search(r"^PROFILES = \{.*?^\}", code, re.MULTILINE | re.DOTALL)
    assert found
    profiles: dict = {}
    exec(found.group(), profiles)
    values = {name: tuple(profile.values()) for name, profile in profiles["PROFILES"].items()}
    assert values == {
        "smoke": (2.0, 2, 1.5, 8, 64, 32),
        "poc": (5.0, 80, 1.8, 24, 192, 96),
        "full": (5.0, None, 2.0, 32, 256, 128),
    }


def executed(notebook, folder):
    """The outputs, and what was printed."""
    NotebookClient(notebook, timeout=500, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return shown, "".join(output.get("text", "") for output in shown)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_damaged_file_comes_out_repaired_to_be_heard_and_seen(notebook, tmp_path):
    shown, said = executed(notebook, tmp_path)
    players = [output for output in shown if "<audio" in output.get("data", {}).get("text/html", "")]
    plots = [output for output in shown if "image/png" in output.get("data", {})]
    assert len(players) == 3
    assert len(plots) == 2  # the loss, and the spectrograms
    assert "\x1b[" not in said
    figures = {name: float(value) for name, value in re.findall(r"^(\w+) +SI-SDR +(-?[\d.]+) dB", said, re.MULTILINE)}
    clean, damaged, repaired = (
        read_audio(path).samples[0].astype(np.float64)
        for path in (
            PROJECT / "audiobuff_assets/corpus/loop_weirdo.flac",
            *(next(tmp_path.rglob(name)) for name in ("damaged.flac", "damaged_repaired.flac")),
        )
    )
    assert figures["damaged"] == pytest.approx(si_sdr_db(clean, damaged), abs=0.01)
    assert figures["repaired"] == pytest.approx(si_sdr_db(clean, repaired), abs=0.01)
    assert figures["repaired"] > figures["damaged"] + 10
    assert "Trained 1 steps" in said


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_run_again_after_a_disconnect_it_goes_on(notebook, tmp_path):
    _, first = executed(notebook, tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.suffix in (".pt", ".flac")}
    assert {path.name for path in kept} >= {"checkpoint_best.pt", "damaged_repaired.flac"}
    next(tmp_path.rglob("damaged_repaired.flac")).unlink()
    _, second = executed(notebook, tmp_path)
    assert "Trained 1 steps" in first
    assert next(tmp_path.rglob("damaged_repaired.flac")).exists()
    for path, written in kept.items():
        if path.suffix == ".pt" or "latents" in path.parts:
            assert path.stat().st_mtime_ns == written, path
    assert re.findall(r"^repaired .*$", first, re.MULTILINE) == re.findall(r"^repaired .*$", second, re.MULTILINE)
