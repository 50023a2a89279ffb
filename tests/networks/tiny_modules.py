"""Tiny torch modules that a module defines, so that they can be pickled; and timm, where it can be imported."""

import importlib.util

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

# torchvision of another build of torch cannot be imported, because it registers these two operators only with its own library.
OPERATORS = ("nms", "qnms")
DECLARED = []


def timm_or_none():
    """Import timm; on machines where torchvision does not fit torch, declare the operators that timm's import needs."""
    if not all(map(importlib.util.find_spec, ("timm", "torchvision"))):
        return None
    try:
        import timm
    except RuntimeError:
        DECLARED.append(torch.library.Library("torchvision", "DEF"))
        for name in OPERATORS:
            DECLARED[-1].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import timm
    return timm


def plain(n_channels, size, n_classes):
    """Convolution, batch normalisation, dropout, one linear layer."""
    height, width = ((side + 1) // 2 for side in size)
    return nn.Sequential(
        nn.Conv2d(n_channels, 8, 3, padding=1, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Flatten(),
        nn.Linear(8 * height * width, n_classes),
    )


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, values):
        return values + self.norm(self.conv(values)).relu()


class Blocks(nn.Module):
    """A stem, three residual blocks in a container, and a head."""

    def __init__(self, n_channels=3, size=(16, 16), n_classes=5):
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(n_channels, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8)
        self.blocks = nn.Sequential(*(Residual(8) for _ in range(3)))
        self.pool, self.fc = nn.AdaptiveAvgPool2d(4), nn.Linear(8 * 16, n_classes)

    def forward(self, values):
        return self.fc(self.pool(self.blocks(self.stem_norm(self.stem(values)).relu())).flatten(1))


class WithSoftmax(Blocks):
    def forward(self, values):
        return super().forward(values).softmax(dim=1)


class OnlyPairs(Blocks):
    """A module whose export works for two images only."""

    def forward(self, values):
        maps = self.pool(self.blocks(self.stem_norm(self.stem(values)).relu()))
        return self.fc(maps.reshape(int(values.shape[0]), -1)) if len(values) != 2 else self.fc(maps.reshape(2, 128))


def raises(n_channels, size, n_classes):
    raise KeyError("no such layer")


def no_module(n_channels, size, n_classes):
    return "a string"


def one_score(n_channels, size, n_classes):
    return plain(n_channels, size, 1)


def deep(n_channels, size, n_classes):
    return nn.Sequential(*(nn.Conv2d(n_channels, n_channels, 5) for _ in range(6)), nn.Flatten(), nn.LazyLinear(n_classes))
