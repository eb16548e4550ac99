"""The primitive operations, one frozen dataclass each, in families.

Importing this package registers them all in ``graphc.op.OPS``.
"""

from graphc.ops import (
    arithmetic,
    assembly,
    comparison,
    contraction,
    indexing,
    leaves,
    movement,
    reduction,
    sampling,
    transcendental,
    unary,
)

__all__ = [
    "arithmetic",
    "assembly",
    "comparison",
    "contraction",
    "indexing",
    "leaves",
    "movement",
    "reduction",
    "sampling",
    "transcendental",
    "unary",
]
