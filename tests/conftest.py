"""Settings of the suite: a kernel cache of its own, kept between runs, and a switch that rewrites golden files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("graphc", derandomize=True, deadline=None, database=None)
settings.load_profile("graphc")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")


def pytest_configure(config: pytest.Config) -> None:
    folder = config.rootpath / ".pytest_cache" / "kernels"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ.setdefault("GRAPHC_CACHE_DIR", str(folder))
    os.environ["GRAPHC_NUM_THREADS"] = "2"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares texts with files in tests/golden."""
    return Golden(Path(__file__).parent / "golden", bool(request.config.getoption("--update-golden")))


class Golden:
    def __init__(self, folder: Path, update: bool) -> None:
        self.folder, self.update = folder, update

    def check(self, name: str, text: str) -> None:
        path = self.folder / name
        if self.update:
            path.write_text(text, "utf-8")
        assert path.exists(), f"{path} is missing: run pytest --update-golden and look at it"
        assert text == path.read_text("utf-8"), f"{path} differs: if that is wanted, run pytest --update-golden"
