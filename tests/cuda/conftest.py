"""What these tests share: the reason why kernels cannot be compiled here, if there is one."""

from __future__ import annotations

import pytest

from graphc.runtime.cuda.toolkit import available


@pytest.fixture
def compiler() -> None:
    """Skips a test where the CUDA packages are missing."""
    reason = available()
    if reason is not None:
        pytest.skip(f"kernels cannot be compiled for CUDA: {reason}")
