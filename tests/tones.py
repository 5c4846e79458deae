"""Sounds of known spectrum, and what a fault did to them."""

import numpy as np

RATE = 44_100
RATES = [8_000, 44_100, 192_000]


def white(channels=1, seconds=2.0, sample_rate=RATE, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal((channels, int(seconds * sample_rate)))


def tone(hz, sample_rate=RATE, seconds=1.0, amplitude=0.5, channels=1):
    one = amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * sample_rate)) / sample_rate)
    return np.tile(one, (channels, 1))


def ratio_db(signal, added):
    return 10 * np.log10(np.mean(signal**2) / np.mean(added**2))


def gain_db(fault, parameters, hz, generator, sample_rate=RATE, channels=1):
    """What a linear fault does to a tone in the last of so many channels, away from the edges."""
    clean = tone(hz, sample_rate, channels=channels)
    damaged = fault.apply(clean, sample_rate, parameters, generator)
    inner = slice(sample_rate // 4, -sample_rate // 4)
    return 20 * np.log10(np.std(damaged[-1, inner]) / np.std(clean[-1, inner]) + 1e-12)


def spectrum_of(samples, sample_rate):
    """Power and frequency of each bin of the first channel."""
    return np.abs(np.fft.rfft(samples[0])) ** 2, np.fft.rfftfreq(samples.shape[1], 1 / sample_rate)
