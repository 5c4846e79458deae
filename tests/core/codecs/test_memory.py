"""The memory ceiling that docs/published-encoders.md states, of a whole process."""

import subprocess
import sys
from pathlib import Path

import pytest
from small_networks import PUBLISHED_DAC, random_weights, save_descript, save_xcodec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc"),
]
HERE = Path(__file__).parent
CEILING_MIB = 4096  # on the CPU, weights and libraries included


def peak_mib(encoder: str, weights: Path, seconds: int) -> int:
    command = [sys.executable, str(HERE / "memory_of.py"), encoder, str(weights), str(seconds)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def save_thin(encoder: str, place: Path) -> None:
    """A network that is quick to compute, with the published number, width and rate of frames."""
    if encoder.startswith("dac"):
        save_descript(place, PUBLISHED_DAC["dac"] | {"encoder_dim": 2, "decoder_dim": 32, "latent_dim": 1024})
    elif encoder == "xcodec":
        acoustic = {"model_type": "dac", "encoder_hidden_size": 2, "decoder_hidden_size": 16}
        semantic = {"model_type": "hubert", "num_hidden_layers": 1, "intermediate_size": 8, "conv_dim": [8] * 7}
        save_xcodec(place, {"acoustic_model_config": acoustic, "semantic_model_config": semantic})
    else:
        random_weights.save_audiomae(place, small={"depth": 1, "mlp_ratio": 0.1})


def save_full(encoder: str, place: Path) -> None:
    save = {"xcodec": save_xcodec, "audiomae": random_weights.save_audiomae}.get(encoder)
    save_descript(place, PUBLISHED_DAC["dac"]) if save is None else save(place)


@pytest.mark.parametrize("encoder", ["dac", "dac-summed", "xcodec", "audiomae"])
def test_ten_minutes_of_stereo(tmp_path, encoder):
    save_thin(encoder, tmp_path / "thin.pth")
    save_full(encoder, tmp_path / "full.pth")
    # What grows with the length, and what grows with the network: both at once would take half an hour.
    short, long = (peak_mib(encoder, tmp_path / "thin.pth", seconds) for seconds in (12, 600))
    network = peak_mib(encoder, tmp_path / "full.pth", 12)
    print(f"{encoder}: {network} MiB, {long - short} MiB more for ten minutes")
    assert network + (long - short) < CEILING_MIB
    assert long > short
