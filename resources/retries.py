"""Trying again, where that can help: a store that is out for a moment, not an option that makes no sense."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import dagster as dg

from audiobuff_core.errors import AudioBuffError, OutputNotWritable
from resources.redaction import redacted

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

RETRIES = dg.RetryPolicy(max_retries=2, delay=3.0, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""After about 3 and 9 seconds; what is finished is kept, so only the rest is done again."""

HOPELESS = (ImportError, NameError, TypeError, AttributeError, AssertionError, NotImplementedError)
"""What comes again just the same: a package that is missing, and faults of the code."""


def retried(body: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """An asset's body whose foreseen and hopeless errors fail its step at once, in a line; others are tried again."""

    @wraps(body)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return body(*args, **kwargs)
        except OutputNotWritable:
            raise  # a full or absent store may come back
        except AudioBuffError as error:
            raise dg.Failure(redacted(str(error)), allow_retries=False) from error
        except HOPELESS as error:
            raise dg.Failure(redacted(f"{type(error).__name__}: {error}"), allow_retries=False) from error

    return run
