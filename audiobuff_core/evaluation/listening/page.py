"""The page: one HTML file with all sounds in it, that says of none of them what it is."""

import base64
import io
from typing import Any

from audiobuff_core.audio.waveform import Waveform
from audiobuff_core.evaluation.listening.session import SCHEMA, Session
from audiobuff_core.evaluation.page_templates import page_templates


def render_listening(session: Session) -> str:
    """The HTML of `session`; its results are saved by the browser, with ids that only the key explains."""
    environment = page_templates()
    facts: dict[str, Any] = {
        "schema": SCHEMA,
        "session": session.id,
        "listener": session.listener,
        "ratings": [
            {
                "trial": trial.id,
                "reference": _flac(trial.reference),
                "stimuli": [{"id": one.id, "audio": _flac(one.waveform)} for one in trial.stimuli],
            }
            for trial in session.ratings
        ],
        "abx": [
            {"trial": trial.id, "a": _flac(trial.a), "b": _flac(trial.b), "x": _flac(trial.x)} for trial in session.abx
        ],
    }
    return environment.get_template("listening.html").render(facts=facts, session=session)


def _flac(waveform: Waveform) -> str:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, waveform.samples.T, waveform.sample_rate, format="FLAC", subtype="PCM_16")
    return base64.b64encode(buffer.getvalue()).decode()
