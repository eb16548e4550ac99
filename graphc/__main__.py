"""``python -m graphc`` and the ``graphc`` command."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line."""
    from graphc.runtime.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
