"""Environments: the resources of a laptop, of tests, and of a bucket, chosen by one variable."""

import os
from typing import Any

from audiobuff_core.errors import InvalidConfig
from audiobuff_core.files import is_local
from resources.compute import Compute
from resources.encoder_suite import EncoderSuite
from resources.storage import ROOT_VARIABLE, Storage, storage_root
from resources.trainer import Trainer

ENVIRONMENT_VARIABLE = "AUDIOBUFF_ENV"
ENVIRONMENTS = ("local", "test", "s3")


def environment_resources() -> dict[str, Any]:
    """The resources of the environment that AUDIOBUFF_ENV names; `local` where it is not set.

    `local` keeps everything in a folder, `test` gives up on stubborn processes sooner, `s3` insists on a URL, so that
    a machine of a cluster never fills its own disk because a variable was forgotten.

    Raises:
        InvalidConfig: an unknown environment, or `s3` without a URL.
    """
    name = os.environ.get(ENVIRONMENT_VARIABLE, "") or "local"
    if name not in ENVIRONMENTS:
        raise InvalidConfig(f"{ENVIRONMENT_VARIABLE} is {name!r}: expected one of {', '.join(ENVIRONMENTS)}")
    if name == "s3" and is_local(storage_root()):
        raise InvalidConfig(
            f"{ENVIRONMENT_VARIABLE} is s3 and {ROOT_VARIABLE} is {os.environ.get(ROOT_VARIABLE, '')!r}: expected a "
            "URL such as s3://bucket/audiobuff"
        )
    return {
        "storage": Storage(),
        "encoders": EncoderSuite.configure_at_launch(),
        "compute": Compute.configure_at_launch(),
        "trainer": Trainer(save_seconds=5.0, stop_seconds=1.0) if name == "test" else Trainer(),
    }
