"""Models: networks of the literature, each a layer (``gc.layers.Layer``) or a function that returns one, to be called.

Images are [batch, height, width, channels]. Classifiers return scores (logits), one a class, for the losses in
``gc.losses``. Values of parameters are made when they are first needed, so counting the largest model costs nothing.
"""

from graphc.frontend.models.adversarial import adversarial_losses, dcgan_discriminator, dcgan_generator
from graphc.frontend.models.alexnet import alexnet
from graphc.frontend.models.autoencoders import VAE, Autoencoder, ConvAutoencoder, gaussian_kl, sparsity
from graphc.frontend.models.crf import DenseCRF
from graphc.frontend.models.detection import (
    MaskHead,
    RegionHead,
    RegionScores,
    decode_boxes,
    encode_boxes,
    region_losses,
    roi_align,
)
from graphc.frontend.models.language import GPT, CaptionDecoder, CharLSTM
from graphc.frontend.models.lenet import RadialBasis, Subsampling, TableConv2d, lenet1, lenet5
from graphc.frontend.models.linear import linear_classifier
from graphc.frontend.models.multitask import MultiTask, weighted_loss
from graphc.frontend.models.perceptron import batch_norm_mlp, maxout_mlp, mlp
from graphc.frontend.models.playground import PlaygroundFeatures, playground
from graphc.frontend.models.resnet import resnet, resnet18, resnet34, resnet50, resnet101, resnet152
from graphc.frontend.models.resnet_cifar import PaddedShortcut, plain_cifar, resnet_cifar
from graphc.frontend.models.segmentation import ASPP, FCN, DeepLab, bilinear_kernel
from graphc.frontend.models.sliding import overfeat, sliding_window
from graphc.frontend.models.style import activation_score, features_of, gram_matrix, style_loss, total_variation
from graphc.frontend.models.translation import CycleGenerator, PatchDiscriminator, UNetGenerator
from graphc.frontend.models.vgg import vgg16, vgg19
from graphc.frontend.models.worksheet import worksheet_cnn

__all__ = [
    "ASPP",
    "Autoencoder",
    "CaptionDecoder",
    "CharLSTM",
    "ConvAutoencoder",
    "CycleGenerator",
    "DeepLab",
    "DenseCRF",
    "FCN",
    "GPT",
    "MaskHead",
    "MultiTask",
    "PaddedShortcut",
    "PatchDiscriminator",
    "PlaygroundFeatures",
    "RadialBasis",
    "RegionHead",
    "RegionScores",
    "Subsampling",
    "TableConv2d",
    "UNetGenerator",
    "VAE",
    "activation_score",
    "adversarial_losses",
    "alexnet",
    "batch_norm_mlp",
    "bilinear_kernel",
    "dcgan_discriminator",
    "dcgan_generator",
    "decode_boxes",
    "encode_boxes",
    "features_of",
    "gaussian_kl",
    "gram_matrix",
    "lenet1",
    "lenet5",
    "linear_classifier",
    "maxout_mlp",
    "mlp",
    "overfeat",
    "plain_cifar",
    "playground",
    "region_losses",
    "resnet",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet_cifar",
    "roi_align",
    "sliding_window",
    "sparsity",
    "style_loss",
    "total_variation",
    "vgg16",
    "vgg19",
    "weighted_loss",
    "worksheet_cnn",
]
