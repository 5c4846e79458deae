import io
import math

import numpy as np
import pytest
from PIL import Image

from audiobuff_core.evaluation.figures import (
    HEIGHT_PIXELS,
    NUM_COLOURS,
    WIDTH_PIXELS,
    loudest_db,
    spectrogram_png,
    tick_positions,
)
from audiobuff_core.evaluation.loss_chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, draw_losses

RATE = 44_100


def picture_of(samples, top_db=None):
    png = spectrogram_png(samples, RATE, top_db=loudest_db(samples, RATE) if top_db is None else top_db)
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == "P"
        return png, np.asarray(image)


def test_a_tone_is_a_line_at_the_height_of_its_tick():
    label, height = tick_positions()[1]
    assert label == "1k"
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    _, pixels = picture_of(tone)
    assert pixels.shape == (HEIGHT_PIXELS, WIDTH_PIXELS)
    brightest = pixels[:, WIDTH_PIXELS // 2].argmax()
    assert 100 * (HEIGHT_PIXELS - 0.5 - brightest) / HEIGHT_PIXELS == pytest.approx(height, abs=1.0)
    assert pixels.max() == NUM_COLOURS - 1


def test_silence_is_dark_and_one_scale_shows_level():
    loud = np.random.default_rng(1).normal(0, 0.1, RATE).astype(np.float32)
    top_db = loudest_db(loud, RATE)
    _, silent = picture_of(np.zeros(RATE, np.float32), top_db)
    _, quiet = picture_of(loud * 0.1, top_db)
    _, full = picture_of(loud, top_db)
    assert silent.max() == 0
    # 20 dB of a range of 80 is a quarter of the colours.
    assert full.mean() - quiet.mean() == pytest.approx(NUM_COLOURS / 4, abs=0.5)


@pytest.mark.parametrize("num_samples", [1, 500, 4 * RATE])
def test_pictures_are_small_at_any_length(num_samples):
    png, _ = picture_of(np.random.default_rng(2).normal(0, 0.1, num_samples).astype(np.float32))
    assert len(png) < 100_000


def test_losses_stay_inside_the_drawing():
    rows = [{"step": step, "loss": math.exp(-step / 500)} for step in range(1, 2000)]
    rows += [{"step": step, "val_loss": math.exp(-step / 500) + 0.1} for step in range(500, 2000, 500)]
    chart = draw_losses(rows)
    numbers = [part.replace("M", "").split() for part in chart.training.split("L")]
    points = np.array(numbers, dtype=float)
    assert len(points) <= 240
    assert points[:, 0].min() >= LEFT
    assert points[:, 0].max() <= WIDTH - RIGHT
    assert points[:, 1].min() >= TOP
    assert points[:, 1].max() <= HEIGHT - BOTTOM
    assert (np.diff(points[:, 1]) > 0).all()  # falling loss, downwards
    assert len(chart.validation_points) == 3
    assert [tick.label for tick in chart.x_ticks][:2] == ["0", "500"]
    assert "training loss from" in chart.summary


@pytest.mark.parametrize("losses", [[0.5], [0.5, 0.5, 0.5], [-1.0, 0.2], [1e-6, 1e6], [0.31, 0.32]])
def test_odd_logs_are_drawn_too(losses):
    chart = draw_losses([{"step": step, "loss": loss} for step, loss in enumerate(losses, 1)])
    assert 2 <= len(chart.y_ticks) <= 13
    assert "nan" not in chart.training
    assert ("from" in chart.summary) == (len(losses) > 1)


def test_no_losses_no_chart():
    assert draw_losses([]) is None
    assert draw_losses([{"step": 1, "lr": 1.0}, {"step": 2, "loss": float("nan")}]) is None
