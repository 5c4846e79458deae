"""Every address of the page, over a real connection."""

import io
import json
import time
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import pytest
import soundfile
from served_page import served

OURS = {"X-AudioBuff": "1"}
RATE = 16_000


@pytest.fixture(scope="module")
def site(changing_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "jobs"
    with served(folder, changing_model, max_megabytes=0.5, max_minutes=0.1) as address:
        yield address, folder


def wav(seconds=1.0, channels=2, **options):
    place = io.BytesIO()
    samples = 0.1 * np.random.default_rng(1).standard_normal((round(seconds * RATE), channels))
    soundfile.write(place, samples, RATE, format="WAV", **options)
    return place.getvalue()


def ask(site, path, method="GET", body=None, headers=OURS):
    request = urllib.request.Request(site[0] + path, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


def send(site, body, name="tape.wav", **options):
    query = urllib.parse.urlencode({"name": name, **options})
    status, answer, _ = ask(site, f"/api/jobs?{query}", "POST", body)
    return status, json.loads(answer)


def result(site, job):
    for _ in range(600):
        told = json.loads(ask(site, f"/api/jobs/{job}")[1])
        if told["state"] in ("done", "failed"):
            return told
        time.sleep(0.05)
    pytest.fail("it was never repaired")


def test_a_recording_goes_in_and_comes_back_repaired(site):
    body = wav(subtype="PCM_24")
    status, told = send(site, body, "old tape.wav", preset="fast", strength="0.8")
    assert status == 202
    done = result(site, told["id"])
    assert done["state"] == "done", done
    assert done["result"]["num_repairs"] >= 1
    assert done["result"]["coding"] == "PCM 24, 16 kHz, stereo"
    base = f"/api/jobs/{told['id']}/files"
    status, restored, headers = ask(site, f"{base}/restored", headers={})
    assert status == 200
    assert (
        "old%20tape%20restored.wav" in headers["content-disposition"]
        or "old tape restored.wav" in headers["content-disposition"]
    )
    before, after, removed = (soundfile.read(io.BytesIO(one), dtype="float64")[0]
                              for one in (body, restored, ask(site, f"{base}/removed")[1]))  # fmt: skip
    assert before.shape == after.shape
    assert not np.array_equal(before, after)
    assert np.array_equal(after + removed, before)
    report = json.loads(ask(site, f"{base}/report")[1])
    assert (report["input"], report["settings"]["preset"], report["settings"]["strength"]) == (
        "old tape.wav",
        "fast",
        0.8,
    )
    assert str(site[1]) not in json.dumps(report)
    for name in ("before", "after", "difference"):
        heard, rate = soundfile.read(io.BytesIO(ask(site, f"{base}/{name}.flac")[1]))
        assert (heard.shape, rate) == (before.shape, RATE)
        assert ask(site, f"{base}/{name}.png")[1].startswith(b"\x89PNG")
    part = ask(site, f"{base}/after.flac", headers={"Range": "bytes=0-99"})
    assert (part[0], len(part[1])) == (206, 100)
    assert list(site[1].glob("*/upload*")) == []
    assert ask(site, f"/api/jobs/{told['id']}", "DELETE")[0] == 204
    assert ask(site, f"{base}/restored")[0] == 404
    assert list(site[1].iterdir()) == []


def test_what_is_no_recording_is_refused_in_one_line(site):
    good = wav()
    for body, name, reason in (
        (b"hello, this is text", "letter.wav", "letter.wav is not audio"), (b"", "empty.wav", "empty.wav is empty"),
        (good[:40], "head.wav", "head.wav"), (wav(7.0, 1), "long.wav", "long.wav is longer than 0.1 min"),
        (good + bytes(600_000), "large.wav", "large.wav is larger than 0.5 MB"),
    ):  # fmt: skip
        status, told = send(site, body, name)
        assert status == 400, name
        assert reason in told["error"]
        assert "\n" not in told["error"]
        assert str(site[1]) not in told["error"]
    assert list(site[1].iterdir()) == []


def test_what_fails_later_is_told_by_the_job(site):
    _, told = send(site, wav(0.02), "blip.wav")
    done = result(site, told["id"])
    assert done["state"] == "failed"
    assert done["message"].startswith("blip.wav has 320 sample(s)")
    ask(site, f"/api/jobs/{told['id']}", "DELETE")


@pytest.mark.parametrize("options", [{"preset": "slow"}, {"strength": "2"}, {"strength": "much"}])
def test_settings_that_make_no_sense_are_refused(site, options):
    status, told = send(site, wav(), **options)
    assert status == 400
    assert "expected" in told["error"]


def test_other_sites_and_other_names_of_this_host_are_not_served(site):
    assert ask(site, "/api/jobs?name=a.wav", "POST", wav(), headers={})[0] == 403
    assert ask(site, "/", headers={"Host": "evil.example"})[0] == 400
    assert ask(site, "/api/jobs/unknown")[0] == 404
    assert ask(site, "/api/jobs/unknown/files/../../page.js")[0] in (404, 403)


def test_the_page_states_limits_and_loads_nothing_from_elsewhere(site):
    status, page, headers = ask(site, "/")
    assert status == 200
    assert "0.1&nbsp;min and 0.5&nbsp;MB" in page.decode()
    assert "http://" not in page.decode()
    assert "https://" not in page.decode()
    assert "default-src 'self'" in headers["content-security-policy"]
    assert ask(site, "/page.js")[2]["content-type"].startswith("text/javascript")


def test_names_are_made_harmless():
    from audiobuff_core.web.uploads import safe_name, upload_path

    assert safe_name("../../etc/passwd") == "passwd"
    assert safe_name("C:\\tapes\\old.WAV") == "old.WAV"
    assert safe_name("Тёплый звук.flac") == "Тёплый звук.flac"
    assert safe_name("") == safe_name("...") == "recording"
    assert len(safe_name("x" * 500 + ".wav")) == 120
    assert "\n" not in safe_name("a\nb.wav")
    from pathlib import Path

    assert upload_path(Path("f"), "a.WAV") == Path("f/upload.wav")
    assert upload_path(Path("f"), "a.we ird") == Path("f/upload")
