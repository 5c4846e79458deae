"""The recordings, clips and measurements that the tests of evaluation share."""

from evaluated_clips import (  # noqa: F401 - fixtures
    evaluated,
    evaluated_root,
    held_out,
    pristine_root,
    restore,
    root,
    shard,
)
