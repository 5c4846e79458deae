"""Spectrograms as small pictures; matplotlib and Pillow are imported when one is drawn."""

import io

import numpy as np
from numpy.typing import NDArray

WIDTH_PIXELS, HEIGHT_PIXELS = 320, 144
# Few colours compress well, and the eye can't tell more apart in so small a picture.
NUM_COLOURS = 64
RANGE_DB = 80.0
WINDOW_SAMPLES = 2048
LOWEST_HZ, HIGHEST_HZ = 60.0, 20_000.0
TICKS_HZ = (200.0, 1_000.0, 5_000.0, 10_000.0)


def spectrogram_png(
    samples: NDArray[np.float32], sample_rate: int, *, top_db: float, width: int = WIDTH_PIXELS,
    height: int = HEIGHT_PIXELS,
) -> bytes:  # fmt: skip
    """A palette PNG of `width` x `height` pixels without axes: time to the right, frequency on the mel scale upwards.

    Args:
        samples: one channel, shape [samples].
        sample_rate: in Hz.
        top_db: the level of the brightest colour; the darkest is 80 dB below. Give pictures that are to be compared
            the same one, such as `loudest_db` of the clean clip.
        width: in pixels.
        height: in pixels.
    """
    import matplotlib as mpl
    from PIL import Image

    levels_db = mel_levels_db(samples, sample_rate, width=width, height=height)
    shades = np.clip((levels_db - top_db) / RANGE_DB + 1.0, 0.0, 1.0)
    indices = np.round(shades[::-1] * (NUM_COLOURS - 1)).astype(np.uint8)
    palette = (np.asarray(mpl.colormaps["magma"](np.linspace(0, 1, NUM_COLOURS)))[:, :3] * 255).round().astype(np.uint8)
    picture = Image.frombytes("P", indices.shape[::-1], indices.tobytes())
    picture.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def loudest_db(samples: NDArray[np.float32], sample_rate: int) -> float:
    """The highest level in the spectrogram of one channel, shape [samples]."""
    return float(mel_levels_db(samples, sample_rate).max())


def tick_positions() -> list[tuple[str, float]]:
    """Label and height, in percent of the picture from its bottom, of a few frequencies."""
    low, high = mel(LOWEST_HZ), mel(HIGHEST_HZ)
    return [
        (f"{hertz / 1000:g}k" if hertz >= 1000 else f"{hertz:g}", round(100 * (mel(hertz) - low) / (high - low), 2))
        for hertz in TICKS_HZ
    ]


def mel(hertz: float) -> float:
    """The mel scale of O'Shaughnessy (1987)."""
    return float(2595 * np.log10(1 + hertz / 700))


def mel_levels_db(
    samples: NDArray[np.float32], sample_rate: int, *, width: int = WIDTH_PIXELS, height: int = HEIGHT_PIXELS
) -> NDArray[np.float64]:
    """Levels in dB, shape [height, width], lowest frequency first: mean power over each pixel's band.

    The pixels are 60 Hz to 20 kHz on the mel scale; only `width` frames are looked at, however long the channel is.
    """
    centres = np.linspace(0, len(samples), width).round().astype(int)
    frames = np.stack([_around(samples, centre) for centre in centres]) * np.hanning(WINDOW_SAMPLES)
    power = np.square(np.abs(np.fft.rfft(frames, axis=1)))
    # Power summed up to a frequency, read off between the bins: right for bands wider and narrower than a bin.
    summed = np.concatenate([np.zeros((width, 1)), np.cumsum(power, axis=1)], axis=1)
    bin_edges_hz = (np.arange(summed.shape[1]) - 0.5) * sample_rate / WINDOW_SAMPLES
    mels = np.linspace(mel(LOWEST_HZ), mel(HIGHEST_HZ), height + 1)
    edges_hz = 700 * (10 ** (mels / 2595) - 1)
    at_edges = np.stack([np.interp(edges_hz, bin_edges_hz, row) for row in summed])
    density = np.diff(at_edges, axis=1) / np.diff(edges_hz)
    decibels: NDArray[np.float64] = 10 * np.log10(density.T + 1e-12)
    return decibels


def _around(samples: NDArray[np.float32], centre: int) -> NDArray[np.float32]:
    """A window of samples, with silence before the first and after the last one."""
    first, last = centre - WINDOW_SAMPLES // 2, centre + WINDOW_SAMPLES // 2
    inside = samples[max(0, first) : last]
    return np.pad(inside, (max(0, -first), max(0, last - len(samples))))
