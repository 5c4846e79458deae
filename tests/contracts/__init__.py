"""Suites that every implementation of a protocol passes by subclassing."""

import pytest

pytest.register_assert_rewrite("contracts.codec", "contracts.feature_encoder")
