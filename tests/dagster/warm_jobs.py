"""Jobs for the launcher's tests, in a module that a run's own process can import."""

import time

import dagster as dg


@dg.op
def quick():
    pass


@dg.op
def slow():
    time.sleep(120)


@dg.job(executor_def=dg.in_process_executor)
def quick_job():
    quick()


@dg.job(executor_def=dg.in_process_executor)
def slow_job():
    slow()


@dg.op(pool="never_free")
def blocked():
    pass


@dg.job(executor_def=dg.in_process_executor)
def blocked_job():
    blocked()
