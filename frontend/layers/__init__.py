"""Layers: pieces of models that own parameters and declare their part of the graph when called."""

from graphc.frontend.layers.basic import Activation, Dense, Dropout, Flatten, Sequential
from graphc.frontend.layers.layer import Layer

__all__ = ["Activation", "Dense", "Dropout", "Flatten", "Layer", "Sequential"]
