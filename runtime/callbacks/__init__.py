"""Callbacks: what happens between batches and epochs. Public as ``gc.callbacks``."""

from __future__ import annotations

from graphc.runtime.callbacks.callback import Callback
from graphc.runtime.callbacks.calls import LambdaCallback, LearningRate
from graphc.runtime.callbacks.logs import CSVLog, Plot
from graphc.runtime.callbacks.plateau import ReduceOnPlateau
from graphc.runtime.callbacks.saving import BestCheckpoint, Checkpoint
from graphc.runtime.callbacks.stopping import EarlyStopping, NaNGuard, TimeBudget
from graphc.runtime.callbacks.tensorboard import TensorBoard

__all__ = [
    "BestCheckpoint",
    "CSVLog",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "LambdaCallback",
    "LearningRate",
    "NaNGuard",
    "Plot",
    "TensorBoard",
    "ReduceOnPlateau",
    "TimeBudget",
]
