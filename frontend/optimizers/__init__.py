"""Optimizers: rules that turn gradients into new parameters, written in the language itself, so that they compile.

An optimizer's own state (velocities, moments) lives in the graph beside the parameters, is saved in checkpoints, and is
updated in place by the compiled step. The learning rate is such a state too: set it between steps without compiling
again, or give a schedule (``gc.schedules``) in its place. Wrappers change what an optimizer does: the outermost sees
the gradients first and the new values last, as in ``Average(ClipByGlobalNorm(Adam(1e-3), 1.0))``.
"""

from __future__ import annotations

from graphc.frontend.optimizers.adaptive import AdaDelta, AdaGrad, RMSProp
from graphc.frontend.optimizers.averaging import Accumulate, Average
from graphc.frontend.optimizers.clipping import ClipByGlobalNorm, ClipByNorm, ClipByValue, MaxNorm
from graphc.frontend.optimizers.first_order import SGD, Momentum, Nesterov
from graphc.frontend.optimizers.large_batch import LAMB, Lion
from graphc.frontend.optimizers.moments import Adam, AdaMax, AdamW, AMSGrad, NAdam
from graphc.frontend.optimizers.optimizer import Gradient, Optimizer, Slots
from graphc.frontend.optimizers.wrapper import Groups, Wrapper

__all__ = [
    "AMSGrad",
    "Accumulate",
    "AdaDelta",
    "AdaGrad",
    "AdaMax",
    "Adam",
    "AdamW",
    "Average",
    "ClipByGlobalNorm",
    "ClipByNorm",
    "ClipByValue",
    "Gradient",
    "Groups",
    "LAMB",
    "Lion",
    "MaxNorm",
    "Momentum",
    "NAdam",
    "Nesterov",
    "Optimizer",
    "RMSProp",
    "SGD",
    "Slots",
    "Wrapper",
]
