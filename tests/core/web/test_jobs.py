"""One recording at a time, the others wait; nothing of what was sent stays."""

import threading
import time

import pytest

from audiobuff_core.errors import InvalidAudio, InvalidConfig
from audiobuff_core.inference.settings import RestoreSettings
from audiobuff_core.web.jobs import Job, JobQueue, QueueFull
from audiobuff_core.web.limits import Limits

LIMITS = Limits(most_waiting=2)


class Work:
    """Work that waits until it is let go."""

    def __init__(self):
        self.free, self.begun, self.error = threading.Event(), threading.Semaphore(0), None

    def __call__(self, job):
        self.begun.release()
        while not self.free.wait(0.01):
            job.on_progress(0.5)
        if self.error is not None:
            raise self.error
        (job.folder / "made").write_bytes(job.upload.read_bytes())
        job.files["made"] = job.folder / "made"


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def queue(tmp_path, work):
    made = JobQueue(tmp_path / "jobs", work, LIMITS)
    yield made
    work.free.set()
    made.close()


def send(queue, name="a.wav"):
    job = Job(name, queue.new_folder() / "upload.wav", RestoreSettings())
    job.upload.write_bytes(name.encode())
    queue.submit(job)
    return job


def until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it never came")


def test_the_upload_is_deleted_when_it_is_repaired_and_the_result_when_it_is_forgotten(queue, work):
    job = send(queue)
    work.free.set()
    until(lambda: job.state == "done")
    assert not job.upload.exists()
    assert job.files["made"].read_bytes() == b"a.wav"
    queue.delete(job)
    assert queue.find(job.id) is None
    assert not job.folder.exists()


def test_recordings_wait_for_each_other_and_the_queue_is_full_one_day(queue, work):
    first = send(queue)
    work.begun.acquire(timeout=10)
    second, third = send(queue, "b.wav"), send(queue, "c.wav")
    assert [queue.ahead_of(job) for job in (first, second, third)] == [0, 1, 2]
    with pytest.raises(QueueFull, match="2 recordings are waiting"):
        queue.new_folder()
    queue.delete(second)
    assert queue.ahead_of(third) == 1
    assert not second.folder.exists()
    work.free.set()
    until(lambda: third.state == "done")
    assert second.state == "waiting"


def test_one_that_is_given_up_stops_and_leaves_nothing(queue, work):
    job = send(queue)
    work.begun.acquire(timeout=10)
    queue.delete(job)
    until(lambda: not job.folder.exists())
    assert queue.find(job.id) is None
    assert job.state == "failed"


def test_what_goes_wrong_is_told_by_the_name_that_the_user_knows(queue, work, caplog):
    work.free.set()
    bad = Job("tape.wav", queue.new_folder() / "upload.wav", RestoreSettings())
    bad.upload.write_bytes(b"x")
    work.error = InvalidAudio(f"{bad.upload} is\nno audio")
    queue.submit(bad)
    until(lambda: bad.state == "failed")
    assert bad.message == "tape.wav is no audio"
    assert not bad.upload.exists()
    work.error = RuntimeError("secret")
    strange = send(queue)
    until(lambda: strange.state == "failed")
    assert "secret" not in strange.message
    assert "secret" in caplog.text
    work.error = None
    good = send(queue)
    until(lambda: good.state == "done")


def test_results_are_kept_for_a_while_only(tmp_path, work, monkeypatch):
    monkeypatch.setattr("audiobuff_core.web.jobs.SECONDS_BETWEEN_SWEEPS", 0.01)
    queue = JobQueue(tmp_path / "jobs", work, Limits(keep_minutes=1e-4))
    work.free.set()
    job = send(queue)
    until(lambda: queue.find(job.id) is None)
    assert not job.folder.exists()
    other = send(queue)
    queue.close()
    assert not (tmp_path / "jobs").exists()
    assert not other.folder.exists()


def test_limits_are_above_nothing():
    with pytest.raises(InvalidConfig, match="max_minutes -1, most_waiting 0"):
        Limits(max_minutes=-1, most_waiting=0)
