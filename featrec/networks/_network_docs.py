"""Descriptions of the parameters that networks share: CNNFeatures, CNNMaps and their recipes; and networks that are trained."""

from __future__ import annotations

from functools import partial

from featrec.shared_docs import SHARED, with_shared_docs

__all__ = ["NETWORK_DOCS", "with_network_docs", "with_training_docs"]

NETWORK_DOCS = {
    "model": """\
model : path, bytes, str, torch.nn.Module, ExportedProgram, torchvision weights, or callable
    The network:

    - an ONNX file or its content, with one input of shape (n, channels, height, width);
    - ``"timm:NAME"``, such as ``"timm:resnet50.a1_in1k"`` (extra ``timm``), with `weights` or ``download=True``;
    - a ``torch.nn.Module`` or an ExportedProgram, or the file of one (.pt2) (extra ``torch``);
    - a weights object of torchvision, such as ``ResNet18_Weights.DEFAULT``, with `weights` or ``download=True``;
    - a function from a float32 batch (n, channels, height, width) to an array with n rows.""",
    "layer": """\
layer : str, optional
    Layer whose outputs are used. Default: the `layer` in the preprocessing, else the last output of the network. Any tensor in
    an ONNX file and any submodule of a torch module can be used; for timm models also "pre_logits" (the features before
    the classifier) and "map:-1" (the map after the last stage). ``featrec network show FILE`` lists the layers.""",
    "preprocessing": """\
preprocessing : {"torch", "tf", "caffe"} or dict, optional
    A dict with the keys `mean` and `scale` (a number, or a number per channel in the network's order) and `color_order` ("rgb",
    "bgr" or "gray"), and optionally `size` (height, width), `crop`, `crop_fraction`, `interpolation`, `layer` and
    `pretrained_on`. The input of the network is (value - mean) * scale, with values from 0 to 255. "torch" means RGB normalised
    by ImageNet's mean and standard deviation, "tf" RGB from -1 to 1, and "caffe" BGR minus (104, 117, 123). None: the
    configuration of the model (timm, torchvision), or a JSON file next to the ONNX file, such as ``net.json`` for ``net.onnx``.
    If such a configuration exists, a dict replaces only the keys that the dict contains.""",
    "size": """\
size : int or tuple of (height, width), optional
    Input size. Default: the `size` in the preprocessing, else the size in the ONNX file.""",
    "crop": """\
crop : bool, optional
    If True, use the largest central part of the image that has the proportions of the input size. If False, stretch the
    image. Default: `crop` in the preprocessing, else True.""",
    "weights": """\
weights : path, optional
    Local file with the weights of a model given by name: .safetensors, or a file written by ``torch.save``, which is read with
    ``weights_only=True``.""",
    "sha256": """\
sha256 : str, optional
    Expected SHA-256 of the file `weights`. Another file is an error.""",
    "key_map": """\
key_map : dict or "order", optional
    Maps the names in the file `weights` to the names in the network, if they differ. "order" assigns the tensors in the order
    of the file.""",
    "download": """\
download : bool, default=False
    Whether timm or torchvision may download the weights of a model given by name. Nothing is downloaded otherwise.""",
    "runtime": """\
runtime : {"auto", "onnxruntime", "opencv", "torch"}, default="auto"
    Program that runs the network. "auto" runs ONNX files with onnxruntime if it is installed (extra ``onnx``), else with
    OpenCV. It exports torch modules to ONNX and runs them with onnxruntime, unless a GPU is used, onnxruntime is not
    installed, or the export fails; then torch runs them.""",
    "device": """\
device : str, default="auto"
    Device of torch, or of onnxruntime if it supports GPUs: "cpu", "cuda", or "auto" for a GPU if there is one.""",
    "precision": """\
precision : {"float32", "float16", "bfloat16"}, default="float32"
    Number format of the computation. Lower precision is only available with ``runtime="torch"``.""",
    "embed": """\
embed : bool, default=True
    Whether the fitted extractor contains the network as ONNX, so that a model file needs nothing else. If False, a model given
    by name is stored as the name and the digest of its weights; the file `weights` must be available when the
    model is used, and changed weights raise an error.""",
    "batch_size": """\
batch_size : int, default=1
    Number of images per forward pass.""",
}
TRAINING_DOCS = {
    "batch_size": """\
batch_size : int, default=128
    Number of images per step. If the training set is small, the batch size is reduced to an eighth of the number of images,
    but at least 16, and the learning rate is reduced in proportion.""",
    "learning_rate": """\
learning_rate : float, default=0.05
    Maximum learning rate. The rate rises during the first quarter of the steps, then falls to zero.""",
    "weight_decay": "weight_decay : float, default=5e-4",
    "label_smoothing": """\
label_smoothing : float, default=0.0
    Share of each training target that is distributed evenly over all classes.""",
    "flip": """\
flip : bool, default=False
    If True, mirror a random half of the images in each epoch.""",
    "shift": """\
shift : int, default=0
    Maximum random shift of training images in pixels; borders are reflected.""",
    "precision": """\
precision : {"float32", "auto", "bfloat16"}, default="float32"
    Data type of products; "auto" uses bfloat16 on processors with AMX.""",
    "validation_fraction": """\
validation_fraction : float, default=0.0
    Share of the images that are held out from training, to compute ``valid_loss`` and ``valid_accuracy`` in ``history_``.""",
    "patience": """\
patience : int or None, default=None
    Stop after this number of epochs without a lower validation loss, and use the weights of the best epoch. Needs
    `validation_fraction`.""",
}
with_network_docs = partial(with_shared_docs, shared=SHARED | NETWORK_DOCS)
with_training_docs = partial(with_shared_docs, shared=SHARED | TRAINING_DOCS)
