"""An S3 on loopback, which can be told to fail."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec
import pytest

REFUSAL = b"<Error><Code>OutOfOrder</Code><Message>The store fails now and then</Message></Error>"


class Faults:
    """What goes wrong on the way to the store; nothing, unless it is told to.

    Attributes:
        every: each so many-th request is refused in a way that no client tries again; 0: none.
        victim: the process that is killed by its so many-th upload, which does not arrive: (process id, number).
        met: how often something went wrong.
    """

    def __init__(self) -> None:
        self.every, self.met = 0, 0
        self.victim: tuple[int, int] | None = None
        self._requests, self._uploads = 0, 0
        self._lock = threading.Lock()

    def strikes(self, environ: dict[str, Any]) -> bool:
        """Whether this request is not to arrive."""
        with self._lock:
            self._requests += 1
            strikes = bool(self.every) and self._requests % self.every == 0
            if self.victim is not None and environ["REQUEST_METHOD"] in ("PUT", "POST"):
                self._uploads += 1
                if self._uploads == self.victim[1]:
                    os.kill(self.victim[0], signal.SIGKILL)
                    self.victim, self._uploads, strikes = None, 0, True
            self.met += strikes
            return strikes


@contextmanager
def bucket(secret: str = "testing", faults: Faults | None = None) -> Iterator[str]:
    """The URL of an empty bucket; the environment has what is needed to get there."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Silent(WSGIRequestHandler):
        def log_request(self, *_: Any) -> None:
            pass

    store, faults = DomainDispatcherApplication(create_backend_app), faults or Faults()

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        if not faults.strikes(environ):
            return store(environ, start_response)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response("400 Bad Request", [("Content-Type", "application/xml")])
        return [REFUSAL]

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Silent)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        filesystem = fsspec.filesystem("s3")
        filesystem.clear_instance_cache()
        fsspec.filesystem("s3").mkdir("bucket")
        yield "s3://bucket"
        type(filesystem).clear_instance_cache()
    server.shutdown()
    server.server_close()
