"""graphc: a compiler for training neural networks.

Declare a model as a static graph, see its gradients as formulas and its kernels as source, and train it as one compiled
program. The names below are the public interface; each is loaded when it is first used, so importing graphc is quick.

>>> import graphc as gc
>>> x = gc.input("x", shape=("batch", 3))
>>> gc.relu(x).sum()
<Tensor f32[]>
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphc import dtypes as _dtypes
    from graphc import errors as errors
    from graphc.errors import GraphcError as GraphcError
    from graphc.frontend import activations as activations
    from graphc.frontend import initializers as initializers
    from graphc.frontend import layers as layers
    from graphc.frontend import losses as losses
    from graphc.frontend import metrics as metrics
    from graphc.frontend import models as models
    from graphc.frontend import optimizers as optimizers
    from graphc.frontend import regularizers as regularizers
    from graphc.frontend import sampling as random
    from graphc.frontend import schedules as schedules
    from graphc.frontend.activations import gelu as gelu
    from graphc.frontend.activations import silu as silu
    from graphc.frontend.attention import attention as attention
    from graphc.frontend.cond import cond as cond
    from graphc.frontend.convolution import convolution as convolution
    from graphc.frontend.convolution import convolution_transpose as convolution_transpose
    from graphc.frontend.cumulative import cumsum as cumsum
    from graphc.frontend.einsum import einsum as einsum
    from graphc.frontend.elementwise import abs as abs
    from graphc.frontend.elementwise import cast as cast
    from graphc.frontend.elementwise import check_range as check_range
    from graphc.frontend.elementwise import clip as clip
    from graphc.frontend.elementwise import copy as copy
    from graphc.frontend.elementwise import cos as cos
    from graphc.frontend.elementwise import elu as elu
    from graphc.frontend.elementwise import erf as erf
    from graphc.frontend.elementwise import exp as exp
    from graphc.frontend.elementwise import expm1 as expm1
    from graphc.frontend.elementwise import floor as floor
    from graphc.frontend.elementwise import isfinite as isfinite
    from graphc.frontend.elementwise import leaky_relu as leaky_relu
    from graphc.frontend.elementwise import log as log
    from graphc.frontend.elementwise import log1p as log1p
    from graphc.frontend.elementwise import log_sigmoid as log_sigmoid
    from graphc.frontend.elementwise import maximum as maximum
    from graphc.frontend.elementwise import minimum as minimum
    from graphc.frontend.elementwise import relu as relu
    from graphc.frontend.elementwise import rsqrt as rsqrt
    from graphc.frontend.elementwise import sigmoid as sigmoid
    from graphc.frontend.elementwise import sign as sign
    from graphc.frontend.elementwise import sin as sin
    from graphc.frontend.elementwise import softplus as softplus
    from graphc.frontend.elementwise import sqrt as sqrt
    from graphc.frontend.elementwise import stop_gradient as stop_gradient
    from graphc.frontend.elementwise import tanh as tanh
    from graphc.frontend.elementwise import training_switch as training_switch
    from graphc.frontend.elementwise import where as where
    from graphc.frontend.pooling import avg_pool as avg_pool
    from graphc.frontend.pooling import global_avg_pool as global_avg_pool
    from graphc.frontend.pooling import global_max_pool as global_max_pool
    from graphc.frontend.pooling import max_pool as max_pool
    from graphc.frontend.rearranging import crop as crop
    from graphc.frontend.rearranging import depth_to_space as depth_to_space
    from graphc.frontend.rearranging import reflection_pad as reflection_pad
    from graphc.frontend.rearranging import space_to_depth as space_to_depth
    from graphc.frontend.rearranging import zero_pad as zero_pad
    from graphc.frontend.reductions import argmax as argmax
    from graphc.frontend.reductions import log_softmax as log_softmax
    from graphc.frontend.reductions import logsumexp as logsumexp
    from graphc.frontend.reductions import max as max
    from graphc.frontend.reductions import mean as mean
    from graphc.frontend.reductions import min as min
    from graphc.frontend.reductions import norm as norm
    from graphc.frontend.reductions import prod as prod
    from graphc.frontend.reductions import softmax as softmax
    from graphc.frontend.reductions import sum as sum
    from graphc.frontend.reductions import var as var
    from graphc.frontend.resizing import resize as resize
    from graphc.frontend.responses import local_response_norm as local_response_norm
    from graphc.frontend.responses import lp_pool as lp_pool
    from graphc.frontend.scan import scan as scan
    from graphc.frontend.shaping import broadcast_to as broadcast_to
    from graphc.frontend.shaping import concatenate as concatenate
    from graphc.frontend.shaping import dim_size as dim_size
    from graphc.frontend.shaping import expand_dims as expand_dims
    from graphc.frontend.shaping import flip as flip
    from graphc.frontend.shaping import iota as iota
    from graphc.frontend.shaping import matmul as matmul
    from graphc.frontend.shaping import one_hot as one_hot
    from graphc.frontend.shaping import pad as pad
    from graphc.frontend.shaping import reshape as reshape
    from graphc.frontend.shaping import scatter_add as scatter_add
    from graphc.frontend.shaping import squeeze as squeeze
    from graphc.frontend.shaping import stack as stack
    from graphc.frontend.shaping import take as take
    from graphc.frontend.shaping import transpose as transpose
    from graphc.frontend.sorting import argsort as argsort
    from graphc.frontend.sorting import sort as sort
    from graphc.frontend.sorting import take_along_axis as take_along_axis
    from graphc.frontend.sorting import top_k as top_k
    from graphc.frontend.state import Parameter as Parameter
    from graphc.frontend.state import constant as constant
    from graphc.frontend.state import input as input
    from graphc.frontend.state import parameter as parameter
    from graphc.frontend.state import state as state
    from graphc.frontend.tensor import Tensor as Tensor
    from graphc.graph import Graph as Graph
    from graphc.origin import scope as scope
    from graphc.passes.autodiff import grad as grad
    from graphc.passes.explain import Explanation as Explanation
    from graphc.passes.explain import explain as explain
    from graphc.runtime import callbacks as callbacks
    from graphc.runtime import data as data
    from graphc.runtime import estimators as estimators
    from graphc.runtime.declared import graph_of as graph_of
    from graphc.runtime.evaluate import evaluate as evaluate
    from graphc.runtime.function import Function as Function
    from graphc.runtime.function import function as function
    from graphc.runtime.history import History as History
    from graphc.runtime.model import Model as Model
    from graphc.runtime.model import compile as compile
    from graphc.runtime.newton import NewtonResult as NewtonResult
    from graphc.runtime.newton import newton_cg as newton_cg
    from graphc.runtime.objective import Objective as Objective
    from graphc.runtime.objective import objective as objective
    from graphc.runtime.render import render as render
    from graphc.runtime.tasks import Task as Task
    from graphc.text import parse as parse
    from graphc.text import print_graph as print_graph

    bool_ = _dtypes.BOOL
    float32 = _dtypes.FLOAT32
    float64 = _dtypes.FLOAT64
    int32 = _dtypes.INT32
    int64 = _dtypes.INT64

__version__ = "0.1.0"

__all__ = [
    "Explanation",
    "Function",
    "Graph",
    "GraphcError",
    "History",
    "Model",
    "NewtonResult",
    "Objective",
    "Parameter",
    "Task",
    "Tensor",
    "__version__",
    "abs",
    "activations",
    "argmax",
    "argsort",
    "attention",
    "avg_pool",
    "bool_",
    "broadcast_to",
    "callbacks",
    "cast",
    "check_range",
    "clip",
    "compile",
    "concatenate",
    "constant",
    "convolution",
    "convolution_transpose",
    "copy",
    "cos",
    "crop",
    "cumsum",
    "data",
    "depth_to_space",
    "dim_size",
    "einsum",
    "elu",
    "erf",
    "errors",
    "estimators",
    "evaluate",
    "exp",
    "expand_dims",
    "explain",
    "expm1",
    "flip",
    "float32",
    "float64",
    "floor",
    "function",
    "gelu",
    "global_avg_pool",
    "global_max_pool",
    "grad",
    "graph_of",
    "initializers",
    "input",
    "int32",
    "int64",
    "iota",
    "isfinite",
    "layers",
    "leaky_relu",
    "local_response_norm",
    "log",
    "log1p",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "losses",
    "lp_pool",
    "matmul",
    "max",
    "max_pool",
    "maximum",
    "mean",
    "metrics",
    "min",
    "minimum",
    "models",
    "newton_cg",
    "norm",
    "objective",
    "one_hot",
    "optimizers",
    "pad",
    "parameter",
    "parse",
    "print_graph",
    "prod",
    "random",
    "reflection_pad",
    "regularizers",
    "relu",
    "render",
    "reshape",
    "resize",
    "rsqrt",
    "cond",
    "scan",
    "scatter_add",
    "schedules",
    "scope",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "sort",
    "space_to_depth",
    "sqrt",
    "squeeze",
    "stack",
    "state",
    "stop_gradient",
    "sum",
    "take",
    "take_along_axis",
    "tanh",
    "top_k",
    "training_switch",
    "transpose",
    "var",
    "where",
    "zero_pad",
]

_MODULES = {
    "activations": "graphc.frontend.activations",
    "callbacks": "graphc.runtime.callbacks",
    "data": "graphc.runtime.data",
    "errors": "graphc.errors",
    "estimators": "graphc.runtime.estimators",
    "initializers": "graphc.frontend.initializers",
    "layers": "graphc.frontend.layers",
    "losses": "graphc.frontend.losses",
    "metrics": "graphc.frontend.metrics",
    "models": "graphc.frontend.models",
    "optimizers": "graphc.frontend.optimizers",
    "random": "graphc.frontend.sampling",
    "regularizers": "graphc.frontend.regularizers",
    "schedules": "graphc.frontend.schedules",
}
"""Public modules, by the name they have here."""

_RENAMED = {
    "bool_": ("graphc.dtypes", "BOOL"),
    "float32": ("graphc.dtypes", "FLOAT32"),
    "float64": ("graphc.dtypes", "FLOAT64"),
    "int32": ("graphc.dtypes", "INT32"),
    "int64": ("graphc.dtypes", "INT64"),
}
"""Names that are called otherwise where they live."""

_HOMES = {
    "graphc.errors": "GraphcError",
    "graphc.frontend.activations": "gelu silu",
    "graphc.frontend.attention": "attention",
    "graphc.frontend.convolution": "convolution convolution_transpose",
    "graphc.frontend.elementwise": (
        "abs cast check_range clip copy cos elu erf exp expm1 floor isfinite leaky_relu log log1p log_sigmoid "
        "maximum minimum relu rsqrt sigmoid sign sin softplus sqrt stop_gradient tanh training_switch where"
    ),
    "graphc.frontend.pooling": "avg_pool global_avg_pool global_max_pool max_pool",
    "graphc.frontend.rearranging": "crop depth_to_space reflection_pad space_to_depth zero_pad",
    "graphc.frontend.responses": "local_response_norm lp_pool",
    "graphc.frontend.cumulative": "cumsum",
    "graphc.frontend.einsum": "einsum",
    "graphc.frontend.sorting": "argsort sort take_along_axis top_k",
    "graphc.frontend.reductions": "argmax log_softmax logsumexp max mean min norm prod softmax sum var",
    "graphc.frontend.resizing": "resize",
    "graphc.frontend.cond": "cond",
    "graphc.frontend.scan": "scan",
    "graphc.frontend.shaping": (
        "broadcast_to concatenate dim_size expand_dims flip iota matmul one_hot pad reshape scatter_add "
        "squeeze stack take transpose"
    ),
    "graphc.frontend.state": "Parameter constant input parameter state",
    "graphc.frontend.tensor": "Tensor",
    "graphc.graph": "Graph",
    "graphc.origin": "scope",
    "graphc.passes.autodiff": "grad",
    "graphc.passes.explain": "Explanation explain",
    "graphc.runtime.declared": "graph_of",
    "graphc.runtime.evaluate": "evaluate",
    "graphc.runtime.function": "Function function",
    "graphc.runtime.history": "History",
    "graphc.runtime.model": "Model compile",
    "graphc.runtime.newton": "NewtonResult newton_cg",
    "graphc.runtime.objective": "Objective objective",
    "graphc.runtime.render": "render",
    "graphc.runtime.tasks": "Task",
    "graphc.text": "parse print_graph",
}
"""Where the other public names live."""

_HOME_OF = {name: (module, name) for module, names in _HOMES.items() for name in names.split()} | _RENAMED


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    if name in _MODULES:
        value: object = importlib.import_module(_MODULES[name])
    elif name in _HOME_OF:
        module, attribute = _HOME_OF[name]
        value = getattr(importlib.import_module(module), attribute)
    else:
        raise AttributeError(f"module 'graphc' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
