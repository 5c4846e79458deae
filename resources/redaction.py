"""Credentials never leave the environment: what is shown is searched for them first."""

import os
import re

_SECRET_NAMES = re.compile(r"(SECRET|TOKEN|PASSWORD|ACCESS_KEY|SESSION|WEBHOOK|CREDENTIAL)", re.IGNORECASE)
_IN_URLS = re.compile(r"(?<=://)[^/@\s:]+:[^/@\s]+(?=@)")
_SIGNATURES = re.compile(r"((?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId|sig)=)[^&\s]+")
_SHORTEST = 6
HIDDEN = "***"


def redacted(text: str) -> str:
    """`text` without the values of variables that hold secrets, passwords in URLs, and signatures of signed ones."""
    secrets = {value for name, value in os.environ.items() if _SECRET_NAMES.search(name) and len(value) >= _SHORTEST}
    for value in sorted(secrets, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return _SIGNATURES.sub(rf"\g<1>{HIDDEN}", _IN_URLS.sub(HIDDEN, text))
