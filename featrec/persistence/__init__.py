"""Model files that execute nothing: save, load."""

from featrec.persistence._load import load
from featrec.persistence._save import model_bytes, save

__all__ = ["load", "model_bytes", "save"]
