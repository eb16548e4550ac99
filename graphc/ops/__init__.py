"""The primitive operations, one frozen dataclass each, in families.

Importing this package registers them all in ``graphc.op.OPS``, and the functions that their bodies call by name.
"""

from graphc.functions import FUNCTIONS as FUNCTIONS
from graphc.ops import (
    arithmetic,
    assembly,
    comparison,
    cond,
    contraction,
    convolution,
    indexing,
    leaves,
    movement,
    reduction,
    sampling,
    scan,
    transcendental,
    unary,
    winograd,
)

__all__ = [
    "arithmetic",
    "assembly",
    "comparison",
    "cond",
    "contraction",
    "convolution",
    "indexing",
    "leaves",
    "movement",
    "reduction",
    "sampling",
    "scan",
    "transcendental",
    "unary",
    "winograd",
]
