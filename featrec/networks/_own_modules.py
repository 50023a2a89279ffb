"""The modules of LeNet5 and SmallResNet, made with torch. torch is imported only inside functions."""

from __future__ import annotations

from typing import Any

__all__ = ["LEAST_SIZES", "OWN_MODULES", "lenet5", "small_resnet"]

# Factor of the last layer's outputs. It keeps the first outputs small, so training is stable with a high learning rate.
SCALE = 0.125


def lenet5(n_channels: int, size: tuple[int, int], n_classes: int) -> Any:
    """Make the layers of LeNet-5."""
    from torch import nn

    height, width = ((length // 2 - 4) // 2 for length in size)
    return nn.Sequential(
        nn.Conv2d(n_channels, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * height * width, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, n_classes),
    )


def small_resnet(n_channels: int, size: tuple[int, int], n_classes: int, width: int = 32) -> Any:
    """Make a residual network of nine layers; `width` is the number of maps of the first layer."""
    from torch import nn

    def layer(inputs: int, outputs: int, *, halve: bool = False) -> list:
        pooling = [nn.MaxPool2d(2)] if halve else []
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return [convolution, *pooling, nn.BatchNorm2d(outputs), nn.ReLU()]

    class Residual(nn.Sequential):
        def forward(self, values: Any) -> Any:
            return values + super().forward(values)

    class Scaled(nn.Linear):
        def forward(self, values: Any) -> Any:
            return super().forward(values) * SCALE

    first, second, third, fourth = (width * factor for factor in (1, 2, 4, 8))
    return nn.Sequential(
        *layer(n_channels, first),
        *layer(first, second, halve=True),
        Residual(*layer(second, second), *layer(second, second)),
        *layer(second, third, halve=True),
        *layer(third, fourth, halve=True),
        Residual(*layer(fourth, fourth), *layer(fourth, fourth)),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        Scaled(fourth, n_classes, bias=False),
    )


# The modules that have a name, and the minimum height and width of their images.
OWN_MODULES = {"lenet5": lenet5, "small_resnet": small_resnet}
LEAST_SIZES = {"lenet5": 12, "small_resnet": 8}
