"""Everything that can go wrong, by name.

A message says what failed, the value, what was expected and what to do. Each error also inherits from the
built-in exception a Python programmer would catch, so library users need not know this module.
"""


class AudioBuffError(Exception):
    """Base of every error that AudioBuff raises on purpose; a command line prints it as one line."""


class InvalidAudio(AudioBuffError, ValueError):
    """Audio that can't be used: not audio, empty, not finite, of an impossible rate or shape."""


class AudioCutOff(InvalidAudio):
    """A recording that breaks off: damaged in the middle, or shorter than its header says."""


class AudioNotFound(AudioBuffError, FileNotFoundError):
    """No audio where some was named."""


class InvalidConfig(AudioBuffError, ValueError):
    """One or more options that make no sense; all of them are named at once."""


class OutputNotWritable(AudioBuffError, OSError):
    """The output place is read-only, full, or not a place at all."""


class NotMeasurable(AudioBuffError, ValueError):
    """An item on which a metric has no meaning: too short, silent, without a voice."""


class MetricUnavailable(AudioBuffError, ImportError):
    """A metric that is unknown, or whose package is missing."""


class EncoderUnavailable(AudioBuffError, LookupError):
    """An encoder that is unknown, or whose package or weights are missing."""


class PeerUnavailable(AudioBuffError, LookupError):
    """A restorer of others that is unknown, or whose package is missing."""


class PeerTooSlow(AudioBuffError, TimeoutError):
    """A restorer of others that took longer on a recording than it was given."""


class StoreNotSealed(AudioBuffError, RuntimeError):
    """A latent group that was never finished."""


class StoreMismatch(AudioBuffError, ValueError):
    """A latent group of another schema or encoder than the one asked for."""


class DataMissing(AudioBuffError, FileNotFoundError):
    """A shard, snapshot or rendered file that an earlier step should have left."""


class DataLeak(AudioBuffError, ValueError):
    """A recording on both sides of a split: what is measured would have been learned by heart."""


class CheckpointNotFound(AudioBuffError, FileNotFoundError):
    """No checkpoint where one was named."""


class InvalidCheckpoint(AudioBuffError, ValueError):
    """A checkpoint that is truncated, of another layout, or that contradicts the options given."""


class TrainingFailed(AudioBuffError, RuntimeError):
    """Training that can't go on: a run of non-finite losses, no data, a dead rank."""


class OutOfMemory(AudioBuffError, MemoryError):
    """Training that does not fit into the device's memory."""


class RanksFailed(AudioBuffError, ConnectionError):
    """The ranks of a training that could not meet, or one of which died."""
