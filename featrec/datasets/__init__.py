"""Where pictures come from: folders of one's own, and data sets by name."""

from featrec.datasets._dataset import Dataset
from featrec.datasets._folder import ImageFolder
from featrec.datasets._labeled import LabeledImages
from featrec.datasets._load import dataset_names, load_dataset

__all__ = ["Dataset", "ImageFolder", "LabeledImages", "dataset_names", "load_dataset"]
