"""torchrun with quiet, honest endings: `python launch_ranks.py [TORCHRUN OPTION ...] COMMAND`.

Torchrun turns every exit code into 1 under a page of traceback; this one exits with the code of the first rank that
failed, which has said why itself.
"""

import logging
import os
import signal
import sys

STOPPED = 3


def main(arguments: list[str]) -> int:
    """Run the ranks; the exit code is theirs."""
    # Until torchrun listens itself nothing has been started.
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(STOPPED))
    os.environ.setdefault("LOGLEVEL", "CRITICAL")  # some of torchrun's loggers listen to this, others to their level
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the ranks speak for themselves
    try:
        torchrun(arguments)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    except SignalException:
        return STOPPED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
