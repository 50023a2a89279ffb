"""Save models to files and load them without executing anything in the files."""

from featrec.persistence._load import load
from featrec.persistence._save import model_bytes, save

__all__ = ["load", "model_bytes", "save"]
