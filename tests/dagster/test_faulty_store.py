"""A bucket that refuses now and then, and processes killed amid an upload: no partition looks whole that is not."""

import subprocess
import sys
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest
import soundfile
from object_store import Faults, bucket

from audiobuff_assets.definitions import defs
from audiobuff_assets.results import key
from audiobuff_core.codecs.registry import EncoderChoice
from audiobuff_core.data.damage import load_degraded, load_planned
from audiobuff_core.data.extraction import load_extracted
from audiobuff_core.data.ingest import load_pristine
from audiobuff_core.errors import AudioBuffError
from jobs.registration import find_arrivals, record_arrivals
from resources.currency import latest_record
from resources.instance import fail_dead_runs, open_instance, prepare_home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
PASSES = 3
STREAMS = ("target", "structure", "semantic")
LOADERS = {
    "audio/pristine": load_pristine,
    "degradation/plan": load_planned,
    "audio/degraded": load_degraded,
    **{
        f"latents/{stream}": lambda root, shard, stream=stream: load_extracted(
            root, shard, stream, encoders=EncoderChoice()
        )
        for stream in STREAMS
    },
}
ENCODE = """
import sys
from pathlib import Path
from audiobuff_assets.definitions import defs
from resources.instance import open_instance
with open_instance(Path(sys.argv[1])) as instance:
    defs.resolve_job_def("encode_new_audio").execute_in_process(instance=instance, partition_key=sys.argv[2])
"""


class Encoding:
    """A shard of recordings, a bucket, and what the bucket holds after an undisturbed run."""

    def __init__(self, folder, url, faults):
        self.folder, self.root, self.faults = folder, f"{url}/root", faults
        self.arrive("undisturbed")
        assert self.encode("undisturbed")
        self.whole = self.objects()
        self.paths = {name: load(self.root, self.shard).path for name, load in LOADERS.items()}
        self.emptied()

    def arrive(self, name):
        """A new instance, which knows of the recordings."""
        self.home = prepare_home(self.folder / name, root=self.root)
        with open_instance(self.home) as instance:
            found = find_arrivals(instance, self.root, self.folder / "corpus", bundled=False)
            record_arrivals(instance, found)
            (self.shard,) = instance.get_dynamic_partitions("shards")

    def encode(self, name):
        """Run the job in this process; whether it succeeded."""
        with open_instance(self.folder / name) as instance:
            job = defs.resolve_job_def("encode_new_audio")
            logger = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
            result = job.execute_in_process(
                instance=instance, partition_key=self.shard, raise_on_error=False, run_config=logger
            )
            return result.success

    def objects(self):
        """Every object under the root, with its hash."""
        filesystem = fsspec.filesystem("s3")
        filesystem.invalidate_cache()
        return {path: entry["ETag"] for path, entry in filesystem.find(self.root, detail=True).items()}

    def emptied(self):
        """Nothing is left under the root."""
        filesystem = fsspec.filesystem("s3")
        for path in self.objects():
            filesystem.rm_file(path)

    def looking_whole(self, name):
        """The assets whose partition looks whole; asserts that it is, to the last object."""
        there, found = self.objects(), set()
        for asset, load in LOADERS.items():
            try:
                load(self.root, self.shard)
            except (AudioBuffError, FileNotFoundError):
                continue
            found.add(asset)
            below = self.paths[asset].removeprefix("s3://")
            wanted = {path: tag for path, tag in self.whole.items() if path.startswith(below)}
            assert wanted
            assert {path: there.get(path) for path in wanted} == wanted, asset
        with open_instance(self.folder / name) as instance:
            recorded = {asset for asset in LOADERS if latest_record(instance, key(asset), self.shard)}
        assert recorded <= found
        return found


@pytest.fixture(scope="module")
def encoding(tmp_path_factory):
    folder, faults = tmp_path_factory.mktemp("faulty"), Faults()
    (folder / "corpus").mkdir()
    for number in range(3):
        samples = np.random.default_rng(number).uniform(-0.3, 0.3, 16_000)
        soundfile.write(folder / "corpus" / f"{number}.wav", samples, 44_100)
    with bucket(faults=faults) as url, pytest.MonkeyPatch.context() as patch:
        for name in ("DAGSTER_HOME", "AUDIOBUFF_ROOT"):
            patch.setenv(name, "")
        patch.setenv("OMP_NUM_THREADS", "1")
        yield Encoding(folder, url, faults)


@pytest.fixture
def empty(encoding):
    yield encoding
    encoding.faults.every, encoding.faults.victim = 0, None
    encoding.emptied()


@pytest.mark.parametrize("every", [13, 97])
def test_a_store_that_fails_every_nth_request(empty, every, monkeypatch):
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.05)))  # the assets wait before they retry
    name = f"every{every}"
    empty.arrive(name)
    met, reached = empty.faults.met, []
    for _ in range(PASSES):
        empty.faults.every = every
        empty.encode(name)
        empty.faults.every = 0
        reached.append(len(empty.looking_whole(name)))
    assert empty.faults.met > met
    assert reached == sorted(reached)
    assert empty.encode(name)  # the store is well again
    assert empty.looking_whole(name) == set(LOADERS)


def test_processes_that_are_killed_amid_an_upload(empty):
    empty.arrive("killed")
    reached = []
    for upload in (1, 4, 9, 16):
        with subprocess.Popen([sys.executable, "-c", ENCODE, str(empty.folder / "killed"), empty.shard]) as step:
            empty.faults.victim = (step.pid, upload)
            try:
                assert step.wait(120) == -9
            finally:
                step.kill()
        with open_instance(empty.folder / "killed") as instance:
            assert len(fail_dead_runs(instance)) == 1  # frees its slot of the pool, as the daemon does
        reached.append(len(empty.looking_whole("killed")))
    assert reached == sorted(reached)
    assert reached[-1] > 0
    assert empty.encode("killed")
    assert empty.looking_whole("killed") == set(LOADERS)
    assert not list(Path(empty.folder / "killed").rglob("*.flac"))
