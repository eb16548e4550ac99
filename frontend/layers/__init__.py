"""Layers: pieces of models that own parameters and declare their part of the graph when called."""

from graphc.frontend.layers.activations import Maxout, PReLU
from graphc.frontend.layers.attention import MultiHeadAttention, TransformerBlock
from graphc.frontend.layers.basic import Activation, Dense, Flatten, Sequential
from graphc.frontend.layers.convolution import Conv1d, Conv2d, Conv3d, ConvTranspose2d
from graphc.frontend.layers.embedding import Embedding, PositionalEncoding
from graphc.frontend.layers.layer import Layer
from graphc.frontend.layers.noise import Dropout, GaussianDropout, GaussianNoise, SpatialDropout
from graphc.frontend.layers.normalization import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    RMSNorm,
)
from graphc.frontend.layers.pooling import (
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    GlobalAvgPool,
    GlobalMaxPool,
    LpPool1d,
    LpPool2d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from graphc.frontend.layers.rearranging import Crop, DepthToSpace, ReflectionPad, SpaceToDepth, ZeroPad
from graphc.frontend.layers.recurrent import GRU, LSTM, Bidirectional, SimpleRNN
from graphc.frontend.layers.resizing import Upsample1d, Upsample2d
from graphc.frontend.layers.structure import Lambda, Permute, Reshape, Residual

__all__ = [
    "GRU",
    "LSTM",
    "Bidirectional",
    "SimpleRNN",
    "Activation",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose2d",
    "Crop",
    "Dense",
    "DepthToSpace",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "GroupNorm",
    "InstanceNorm",
    "Lambda",
    "Layer",
    "LayerNorm",
    "LocalResponseNorm",
    "LpPool1d",
    "LpPool2d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Maxout",
    "MultiHeadAttention",
    "PReLU",
    "Permute",
    "PositionalEncoding",
    "RMSNorm",
    "ReflectionPad",
    "Reshape",
    "Residual",
    "Sequential",
    "SpaceToDepth",
    "SpatialDropout",
    "TransformerBlock",
    "Upsample1d",
    "Upsample2d",
    "ZeroPad",
]
