"""Images as what is learned: losses for style transfer and for pictures of what a unit looks for.

The image is a parameter, ``gc.parameter((1, height, width, 3), start, name="image")``; the network stays as it is when
``gc.compile(loss, optimizer, parameters=[image])`` names the image alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphc.dims import product
from graphc.errors import ShapeError
from graphc.frontend.layers import Sequential
from graphc.frontend.losses import mean_squared_error
from graphc.frontend.tensor import Tensor, TensorLike, as_tensor
from graphc.node import describe
from graphc.origin import scope, user_location

__all__ = ["activation_score", "features_of", "gram_matrix", "style_loss", "total_variation"]


def features_of(network: Sequential, image: Tensor, names: Sequence[str]) -> list[Tensor]:
    """What some layers of a network give for an image, in the order of their names; the others after them are not run.

    Raises ShapeError for a name that no layer has.

    >>> import graphc as gc
    >>> net = gc.layers.Sequential([gc.layers.Conv2d(4, 3, name="edges"), gc.layers.Conv2d(8, 3, name="parts")])
    >>> gc.models.features_of(net, gc.input("image", (1, 8, 8, 3)), ["edges"])
    [<Tensor f32[1, 6, 6, 4]>]
    """
    found: dict[str, Tensor] = {}
    x = image
    for layer in network.layers:
        if len(found) == len(set(names)):
            break
        x = layer(x)
        if layer.name in names:
            found[layer.name] = x
    missing = [name for name in names if name not in found]
    if missing:
        raise ShapeError(
            f"{network.name!r} has no layer {missing[0]!r}",
            at=str(user_location()),
            expected=", ".join(layer.name for layer in network.layers),
            got=missing[0],
        )
    return [found[name] for name in names]


def gram_matrix(features: TensorLike) -> Tensor:
    """How the channels of an image go together: F^T F / (positions * channels), [batch, channels, channels].

    features: float [batch, *spatial, channels], F with one row for each position. Where things are is left out.

    Source: L. Gatys, A. Ecker, M. Bethge, "Image style transfer using convolutional neural networks", CVPR 2016; the
    scale is that of J. Johnson and others, ECCV 2016.

    >>> import graphc as gc
    >>> gc.evaluate(gc.models.gram_matrix([[[1.0, 0.0], [1.0, 2.0]]]))
    array([[[0.5, 0.5],
            [0.5, 1. ]]], dtype=float32)
    """
    x = as_tensor(features)
    if x.ndim < 3 or not all(isinstance(size, int) for size in x.shape[1:]):
        raise ShapeError(
            "gram_matrix takes features of images",
            at=str(user_location()),
            facts=[("features", describe(x.node))],
            expected="[batch, *spatial, channels] of fixed sizes",
            got=str(x.type),
        )
    with scope("gram_matrix"):
        rows = x.reshape((x.shape[0], product(x.shape[1:-1]), x.shape[-1]))
        count = product(x.shape[1:])
        assert isinstance(count, int)
        return (rows.transpose((0, 2, 1)) @ rows) / float(count)


def style_loss(features: Sequence[Tensor], style: Sequence[Tensor]) -> Tensor:
    """The mean squared differences of Gram matrices, added over layers. features, style: of the same layers.

    Sizes of the images may differ. Style transfer minimises, over the image,

        mean_squared_error(content of the image, content wanted) + a style_loss(...) + b total_variation(image)

    Source: as ``gram_matrix``.

    >>> import graphc as gc
    >>> plain, striped = gc.constant([[[1.0], [1.0]]]), gc.constant([[[0.0], [2.0]]])
    >>> float(gc.evaluate(gc.models.style_loss([plain], [striped])))
    1.0
    """
    with scope("style_loss"):
        first, *others = (
            mean_squared_error(gram_matrix(mine), gram_matrix(its)) for mine, its in zip(features, style, strict=True)
        )
        return sum(others, start=first)


def total_variation(image: TensorLike) -> Tensor:
    """The mean squared difference of neighbouring pixels, of rows plus of columns: small for smooth images.

    image: float [batch, height, width, channels].

    Source: A. Mahendran, A. Vedaldi, "Understanding deep image representations by inverting them", CVPR 2015.

    >>> import graphc as gc
    >>> float(gc.evaluate(gc.models.total_variation(gc.constant([0.0, 1.0, 0.0, 1.0]).reshape(1, 2, 2, 1))))
    1.0
    """
    x = as_tensor(image)
    with scope("total_variation"):
        down, across = x[:, 1:] - x[:, :-1], x[:, :, 1:] - x[:, :, :-1]
        return (down * down).mean() + (across * across).mean()


def activation_score(unit: Tensor, image: Tensor, decay: float = 0.0, smooth: float = 0.0) -> Tensor:
    """What is maximised over an image to see what a unit looks for, as a loss: -mean(unit) + decay + smoothness.

    unit: the activations to raise, such as ``logits[:, 3]`` or ``features[..., 7]``. decay: times the mean square of
    the image. smooth: times its ``total_variation``.

    Source: D. Erhan and others, "Visualizing higher-layer features of a deep network", 2009; K. Simonyan and others,
    "Deep inside convolutional networks", 2014.

    >>> import graphc as gc
    >>> image = gc.parameter((1, 4, 4, 1), "zeros", name="image")
    >>> loss = gc.models.activation_score(image[:, :2].mean(), image, decay=1.0)
    >>> model = gc.compile(loss, gc.optimizers.SGD(4.0))
    >>> _ = [model.step({}) for _ in range(50)]
    >>> image.value[0, :, 0, 0].round(2)
    array([1., 1., 0., 0.], dtype=float32)
    """
    loss = -unit.mean()
    if decay:
        loss = loss + decay * (image * image).mean()
    return loss + smooth * total_variation(image) if smooth else loss
