"""The measured clips of which the browser sees the report."""

from evaluated_clips import evaluated, evaluated_root, pristine_root, shard  # noqa: F401 - fixtures
