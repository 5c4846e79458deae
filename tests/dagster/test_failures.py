"""A failed run is told once, with its link and without secrets."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest

from jobs.failures import log_path, report_failed_runs


@dg.asset
def failing():
    raise ValueError("the password is hunter22, and s3://user:hunter22@host/x failed")


@dg.asset_check(asset=failing, blocking=True)
def too_bad():
    return dg.AssetCheckResult(passed=False, metadata={"reason": "SI-SDR is worse by 6.5 dB"})


THE_ASSET = dg.AssetSelection.assets(failing).without_checks()


def report_failure(place, selection=THE_ASSET):
    jobs = [dg.define_asset_job("failing_job", selection)]
    job = dg.Definitions(assets=[failing], asset_checks=[too_bad], jobs=jobs).resolve_job_def("failing_job")
    result = job.execute_in_process(instance=place.instance, raise_on_error=False)
    context = dg.build_run_status_sensor_context(
        sensor_name="report_failed_runs",
        dagster_instance=place.instance,
        dagster_run=result.dagster_run,
        dagster_event=next(one for one in result.all_events if one.event_type_value == "PIPELINE_FAILURE"),
    ).for_run_failure()
    report_failed_runs(context)
    return result.run_id, context


def test_a_failed_run_is_one_line_with_its_link_and_without_secrets(place, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter22")
    monkeypatch.setenv("AUDIOBUFF_BROWSER", "https://dagster.example/")
    run_id, context = report_failure(place)
    report_failed_runs(context)
    (line,) = tmp_lines(place)
    assert f"https://dagster.example/runs/{run_id}" in line
    assert "failing_job" in line
    assert "the password is ***" in line
    assert "hunter22" not in line


def test_a_check_that_failed_tells_its_reason(place):
    report_failure(place, dg.AssetSelection.checks(too_bad))
    (line,) = tmp_lines(place)
    assert "SI-SDR is worse by 6.5 dB" in line


def tmp_lines(place):
    return log_path(place.instance).read_text().splitlines()


def test_a_webhook_gets_the_same_line(place, monkeypatch):
    got = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("AUDIOBUFF_WEBHOOK", f"http://127.0.0.1:{server.server_port}/T0P/hook")
        run_id, _ = report_failure(place)
        server.shutdown()
    (message,) = got
    assert run_id in message["text"]


def test_a_webhook_that_does_not_answer_is_an_error_that_does_not_tell_its_address(place, monkeypatch):
    monkeypatch.setattr("jobs.failures.WAITS_SECONDS", ())
    monkeypatch.setenv("AUDIOBUFF_WEBHOOK", "http://127.0.0.1:9/S3CRET/hook")
    with pytest.raises(Exception, match="did not take the notification") as raised:
        report_failure(place)
    assert "S3CRET" not in str(raised.value)
    assert len(tmp_lines(place)) == 1
