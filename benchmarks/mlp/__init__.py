"""One training step of a small network, in several libraries.

Each module has ``start(problem, threads)``, which gives a function from images and labels to the loss before the update
(a float), ``LABELS``, the integer type that its library takes labels in, and ``version()``.
"""
