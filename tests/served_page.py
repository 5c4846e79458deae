"""The page, served for a test by a real server."""

import contextlib
import threading
import time

import uvicorn

from audiobuff_core.inference.restorer import Restorer
from audiobuff_core.web.app import make_app
from audiobuff_core.web.jobs import JobQueue
from audiobuff_core.web.limits import Limits
from audiobuff_core.web.repair import repair


@contextlib.contextmanager
def served(folder, model, **limits):
    """The address of a page that repairs with `model`; its recordings lie in `folder`."""
    told, restorer = Limits(**limits), Restorer.load(str(model))
    queue = JobQueue(folder, lambda job: repair(job, restorer, "a model", "named"), told)
    app = make_app(queue, told, "profile test", ["127.0.0.1"])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(1000):
        if server.started:
            break
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        queue.close()
