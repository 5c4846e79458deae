"""The damage that models were trained and judged on: these rows and renders never change.

`frozen.json` was made by `write_frozen` for `CODE_VERSION` 2 of `data/damage.py`, renders with MP3 in them for 5, and
of rooms, whose boom went, for 9; rows are those of version 1, before the table of faults was widened. Rows are compared
whole. Renders are compared bit for bit where arithmetic is that of the machine which made the file, and to 1e-5
elsewhere.
"""

import json
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.degradation.plan import draw_row
from audiobuff_core.degradation.render import render
from audiobuff_core.seeding import digest

RECIPES = (
    "seed", "noise", "hum", "clicks", "clipping", "band_limit", "gaps", "mp3", "reverb", "clean", "demo",
)  # fmt: skip
FILE = Path(__file__).with_name("frozen.json")


def music(channels, sample_rate, num_samples=9000):
    """Integer arithmetic alone: the same on every machine."""
    places = np.arange(num_samples * channels, dtype=np.int64).reshape(channels, num_samples)
    noise = (places * 1_103_515_245 + 12_345) % 65_536 - 32_768
    saw = (places * (440 * 65_536 // sample_rate)) % 65_536 - 32_768
    return Waveform(((noise + 3 * saw) / 262_144).astype(np.float32), sample_rate)


def arithmetic():
    """Equal on machines whose libraries give equal bits."""
    sequence = np.linspace(0.1, 9.7, 1001)
    values = [np.exp(sequence), np.sin(sequence), np.tanh(sequence), np.fft.rfft(sequence), np.log(sequence)]
    versions = [version(name) for name in ("numpy", "scipy", "soxr", "av", "lameenc", "soundfile")]
    return digest(platform.machine(), versions, [value.tobytes().hex() for value in values])


def cases():
    for recipe in RECIPES:
        for variant in range(12 if recipe in ("demo", "band_limit") else 4):
            yield recipe, variant


def frozen_now():
    found = {}
    for recipe, variant in cases():
        row = draw_row("a", "0123abcd", recipe=recipe, seed=1337, variant=variant)
        renders = [render(row, music(1, 44_100)), render(row, music(2, 16_000))]
        found[f"{recipe} {variant}"] = {
            "row": digest(row.as_dict()),
            "renders": [digest(one.samples.tobytes().hex()) for one in renders],
            "samples": [[round(float(x), 7) for x in one.samples[-1, 500::1700]] for one in renders],
        }
    return found


def write_frozen():
    FILE.write_text(json.dumps({"arithmetic": arithmetic(), "cases": frozen_now()}, indent=1) + "\n")


@pytest.fixture(scope="module")
def now():
    return frozen_now()


@pytest.fixture(scope="module")
def then():
    return json.loads(FILE.read_text())


def test_no_row_of_the_frozen_recipes_has_changed(now, then):
    assert {name: one["row"] for name, one in now.items()} == {name: one["row"] for name, one in then["cases"].items()}


def test_no_render_of_the_frozen_recipes_has_changed(now, then):
    for name, one in then["cases"].items():
        # A lossy codec may round otherwise on another machine.
        tolerance = 2e-3 if "mp3" in name or "demo" in name else 1e-5
        for expected, found in zip(one["samples"], now[name]["samples"], strict=True):
            np.testing.assert_allclose(found, expected, atol=tolerance, err_msg=name)


def test_renders_are_the_same_bits_where_arithmetic_is_the_same(now, then):
    if arithmetic() != then["arithmetic"]:
        pytest.skip("other libraries or another kind of processor than those that made frozen.json")
    assert {name: one["renders"] for name, one in now.items()} == {
        name: one["renders"] for name, one in then["cases"].items()
    }
