import errno
import hashlib
import json
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from audiobuff_core.codecs.download import DownloadFailed, download
from audiobuff_core.codecs.registry import CODECS, SIDE_STREAMS, load_codec, load_feature_encoder
from audiobuff_core.codecs.weights import PUBLISHED
from audiobuff_core.commands.doctor import examine, run_doctor
from audiobuff_core.commands.fetch_weights import run_fetch_weights
from audiobuff_core.errors import DataMissing, EncoderUnavailable, InvalidCheckpoint, OutputNotWritable

sys.path.insert(0, str(Path(__file__).parent.parent / "codecs"))
from small_networks import SMALL_DAC, SMALL_XCODEC, save_audiomae, save_descript, save_xcodec


@pytest.fixture(scope="module")
def publishers(tmp_path_factory):
    """Small weights in the layout of a GitHub release and of the hub: URL path -> bytes."""
    folder = tmp_path_factory.mktemp("published")
    save_descript(folder / "weights.pth", SMALL_DAC)
    save_xcodec(folder / "xcodec", SMALL_XCODEC)
    save_audiomae(folder / "audiomae")
    files = {"/descriptinc/descript-audio-codec/releases/download/0.0.1/weights.pth": folder / "weights.pth"}
    repositories = {
        "hf-audio/xcodec-hubert-general-balanced": "xcodec",
        "gaunernst/vit_base_patch16_1024_128.audiomae_as2m": "audiomae",
    }
    for repository, place in repositories.items():
        for name in ("config.json", "model.safetensors"):
            files[f"/{repository}/resolve/main/{name}"] = folder / place / name
    return {path: file.read_bytes() for path, file in files.items()}


class Publisher(BaseHTTPRequestHandler):
    """GitHub and the hub in one; the server's `faults` say what goes wrong with a path."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, *, with_body):
        path = self.path.partition("?")[0]
        body, fault = self.server.files.get(path), self.server.faults.get(path)
        if body is None or (fault == "busy" and not with_body):
            self.send_error(404 if body is None else 503)
            return
        announced = hashlib.sha256(body).hexdigest()
        if fault == "damaged":
            body = body[:-1] + bytes([body[-1] ^ 1])
        if fault == "flipped":
            body = body[:5000] + bytes([body[5000] ^ 1]) + body[5001:]
        if fault == "page":
            body = b"<html>sign in</html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.path.endswith(".safetensors"):
            self.send_header("X-Linked-Etag", f'"{announced}"')
        self.end_headers()
        if with_body:
            self.wfile.write(body[: len(body) // 2] if fault == "cut" else body)
            self.close_connection = fault == "cut"

    def log_message(self, *_):
        pass


@pytest.fixture
def server(publishers, monkeypatch, tmp_path):
    serving = ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    serving.files, serving.faults = publishers, {}
    thread = threading.Thread(target=serving.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{serving.server_address[1]}"
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("AUDIOBUFF_GITHUB", address)
    monkeypatch.setenv("AUDIOBUFF_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for known in PUBLISHED.values():
        monkeypatch.delenv(known.variable, raising=False)
    yield serving
    serving.shutdown()
    serving.server_close()
    thread.join()


def everything_under(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_after_fetching_everything_works_offline(server, tmp_path, monkeypatch, capsys):
    before = examine()["encoders"]
    assert [name for name, facts in before.items() if facts["usable"]] == ["builtin"]
    assert before["dac"]["fix"].startswith("audiobuff fetch-weights dac")
    assert run_fetch_weights([]) == 0
    server.shutdown()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    usable = {name for name, facts in examine()["encoders"].items() if facts["usable"]}
    assert usable == {"builtin", "dac", "xcodec", "audiomae"}
    assert load_codec("dac").hop_length == 40
    assert load_feature_encoder("structure", "xcodec").feature_dim == 40
    assert load_feature_encoder("semantic", "audiomae").feature_dim == 32
    assert "download of" in capsys.readouterr().out
    run_fetch_weights([])  # and asks nobody again
    assert "download of" not in capsys.readouterr().out


def test_weights_may_lie_in_a_bucket(server, monkeypatch, capsys):
    run_fetch_weights(["dac"], to="memory://team/weights")
    assert "export AUDIOBUFF_WEIGHTS=memory://team/weights" in capsys.readouterr().out
    monkeypatch.setenv("AUDIOBUFF_WEIGHTS", "memory://team/weights")
    assert examine()["encoders"]["dac"]["usable"]
    assert not examine()["encoders"]["xcodec"]["usable"]
    assert load_codec("dac").latent_dim == 16
    with pytest.raises(EncoderUnavailable, match=r"config\.json.*fetch-weights xcodec --to"):
        load_feature_encoder("structure", "xcodec")


def test_what_was_damaged_in_a_bucket_is_not_kept(server, tmp_path, monkeypatch):
    import fsspec

    run_fetch_weights(["dac"], to="memory://damaged/weights")
    monkeypatch.setenv("AUDIOBUFF_WEIGHTS", "memory://damaged/weights")
    memory = fsspec.filesystem("memory")
    (place,) = [path for path in memory.find("/damaged") if path.endswith(".pth")]
    whole = memory.cat_file(place)
    memory.pipe_file(place, whole[:5000] + b"?" + whole[5001:])
    with pytest.raises(DownloadFailed, match="SHA-256"):
        load_codec("dac")
    assert not [path for path in everything_under(tmp_path / "cache") if path.endswith(".pth")]
    memory.pipe_file(place, whole)
    assert load_codec("dac").latent_dim == 16


def test_a_place_that_can_t_be_asked_is_named(monkeypatch, capsys):
    monkeypatch.setenv("AUDIOBUFF_WEIGHTS", "nonsense://team/weights")
    assert run_doctor() == 0
    assert "nonsense://team/weights/dac" in capsys.readouterr().out
    assert not examine()["encoders"]["dac"]["usable"]
    with pytest.raises(DownloadFailed, match="nonsense"):
        load_codec("dac")


def test_a_url_or_path_may_be_named(server, tmp_path, monkeypatch):
    address = f"http://127.0.0.1:{server.server_address[1]}/descriptinc/descript-audio-codec/releases/download"
    assert load_codec(f"dac:{address}/0.0.1/weights.pth").latent_dim == 16
    assert load_codec(f"dac:{address}/0.0.1/weights.pth?Signature=a/b.c").latent_dim == 16
    kept = tmp_path / "mine.pth"
    kept.write_bytes(next(iter(server.files.values())))
    monkeypatch.setenv("AUDIOBUFF_DAC_WEIGHTS", str(kept))
    assert load_codec("dac").latent_dim == 16
    assert examine()["encoders"]["dac"]["weights"] == str(kept)


@pytest.mark.parametrize(
    ("name", "fault", "message"),
    [
        ("dac", "cut", "nothing was kept"),
        ("dac", "page", "no whole .pth"),
        ("dac", "flipped", "came damaged"),
        ("xcodec", "damaged", "SHA-256"),
        ("xcodec", "busy", r"ask .* for its hash \(.*503"),
        ("xcodec", "cut", "nothing was kept"),
    ],
)
def test_a_failed_download_leaves_nothing(server, tmp_path, name, fault, message):
    for path in server.files:
        if path.endswith((".pth", ".safetensors")):
            server.faults[path] = fault
    with pytest.raises(DownloadFailed, match=message) as caught:
        run_fetch_weights([name])
    assert "\n" not in str(caught.value)
    assert not [path for path in everything_under(tmp_path) if not path.endswith("config.json")]
    assert not examine()["encoders"][name]["usable"]


def test_what_is_not_published_is_named(server, tmp_path):
    with pytest.raises(EncoderUnavailable, match=r"'nonsense'.*dac-24khz.*owner/name"):
        run_fetch_weights(["dac", "nonsense"])
    assert everything_under(tmp_path) == []  # and nothing was begun
    with pytest.raises(DataMissing, match=r"someone/model/resolve/main/config\.json"):
        run_fetch_weights(["someone/model"])


def test_a_server_that_can_t_be_reached_is_named(server, monkeypatch, tmp_path):
    monkeypatch.setenv("AUDIOBUFF_GITHUB", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for name in ("dac", "xcodec"):
        with pytest.raises(DownloadFailed, match="look at the network"):
            run_fetch_weights([name])
    assert everything_under(tmp_path) == []


def test_a_full_or_wrong_place_is_named(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritable, match="file"):
        run_fetch_weights(["dac"], to=str(tmp_path / "file"))
    source = tmp_path / "source.bin"
    source.write_bytes(b"abc")
    with pytest.raises(DownloadFailed, match="SHA-256"):
        download(str(source), str(tmp_path / "target.bin"), sha256="0" * 64)
    assert not (tmp_path / "target.bin").exists()


def test_a_disk_that_fills_up_leaves_nothing(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("audiobuff_core.codecs.download._copy", full)
    for name in ("dac", "audiomae"):
        with pytest.raises(OutputNotWritable, match="No space left on device") as caught:
            run_fetch_weights([name])
        assert "\n" not in str(caught.value)
    assert everything_under(tmp_path) == []


def test_doctor_speaks_to_people_and_programs(server, capsys):
    assert run_doctor() == 0
    text = capsys.readouterr().out
    assert "builtin       usable" in text
    assert "do: audiobuff fetch-weights audiomae" in text
    assert run_doctor(as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    every = {name.removesuffix("-summed") for known in (CODECS, *SIDE_STREAMS.values()) for name in known}
    assert set(found["encoders"]) == every  # none is left out
    assert found["encoders"]["dac-24khz"]["fix"].startswith("audiobuff fetch-weights dac-24khz")
    assert "pip install git+URL" in found["encoders"]["xcodec-module"]["fix"]
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["disk_free_gib"] > 0


def test_an_encoder_that_only_the_registry_knows_is_usable_if_it_loads(server, monkeypatch):
    usual = SIDE_STREAMS["structure"]["builtin"]
    monkeypatch.setitem(SIDE_STREAMS["structure"], "fourth", usual)
    monkeypatch.setitem(SIDE_STREAMS["semantic"], "fifth", "audiobuff_core.codecs.descriptors:NotThere")
    found = examine()["encoders"]
    assert (found["fourth"]["usable"], found["fourth"]["option"]) == (True, "--structure")
    assert not found["fifth"]["usable"]
    assert "fifth can't be loaded (AttributeError" in found["fifth"]["fix"]
    monkeypatch.setitem(sys.modules, "xcodec", types.ModuleType("xcodec"))
    assert "no load_model" in examine()["encoders"]["xcodec-module"]["fix"]


def test_damaged_weights_are_not_called_usable(server, tmp_path):
    run_fetch_weights(["audiomae"])
    weights = next((tmp_path / "weights").rglob("*audiomae*/model.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-5])
    found = examine()["encoders"]["audiomae"]
    assert not found["usable"]
    assert found["fix"].startswith("audiobuff fetch-weights audiomae")
    run_fetch_weights(["audiomae"])  # and the fix helps
    assert examine()["encoders"]["audiomae"]["usable"]
    assert load_feature_encoder("semantic", "audiomae").feature_dim == 32


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("dac", lambda: load_codec("dac")),
        ("xcodec", lambda: load_feature_encoder("structure", "xcodec")),
        ("audiomae", lambda: load_feature_encoder("semantic", "audiomae")),
    ],
)
def test_weights_that_changed_since_they_were_fetched_are_refused(server, tmp_path, capsys, name, load):
    run_fetch_weights([name])
    (note,) = (tmp_path / "weights").rglob("*.sha256")
    weights = note.with_suffix("")
    assert note.read_text() == f"{hashlib.sha256(weights.read_bytes()).hexdigest()}  {weights.name}\n"
    load()
    whole = weights.read_bytes()
    place = 5000 if name == "dac" else len(whole) - 2  # inside a weight
    weights.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert not examine()["encoders"][name]["usable"]
    with pytest.raises(InvalidCheckpoint, match=r"SHA-256 .*states .*fetch-weights") as caught:
        load()
    assert "\n" not in str(caught.value)
    run_fetch_weights([name])
    assert "fetched anew" in capsys.readouterr().out
    load()
