"""These tests are collected where torch is installed; graphc itself does not need it."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = ["test_*.py"] if find_spec("torch") is None else []
