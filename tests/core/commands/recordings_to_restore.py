"""Short recordings, and the command on them as a user gives it."""

import numpy as np
import soundfile

from audiobuff_assets import cli

RATE = 16_000


def music(seconds=0.3, channels=1, seed=1):
    return 0.1 * np.random.default_rng(seed).standard_normal((int(seconds * RATE), channels))


def write(path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, music(**options), RATE, subtype="PCM_16")
    return path


def restore(*arguments):
    return cli.main(["restore", *map(str, arguments)])
