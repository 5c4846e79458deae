"""An S3 on loopback."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import fsspec
import pytest


@contextmanager
def bucket(secret: str = "testing") -> Iterator[str]:
    """The URL of an empty bucket; the environment has what is needed to get there."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        filesystem = fsspec.filesystem("s3")
        filesystem.clear_instance_cache()
        fsspec.filesystem("s3").mkdir("bucket")
        yield "s3://bucket"
        type(filesystem).clear_instance_cache()
    server.stop()
