"""AudioBuff's core: the restoration library, without Dagster."""

__version__ = "0.1.0"
