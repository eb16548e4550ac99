"""These tests run kernels in numba's simulator, which must be chosen before numba is first imported. They are collected
in a pytest process of their own: ``NUMBA_ENABLE_CUDASIM=1 pytest tests/simulated``.
"""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1" else ["test_*.py"]
