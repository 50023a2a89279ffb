"""Save models to files and load them without executing anything in the files."""

from featrec.persistence._load import load
from featrec.persistence._save import model_bytes, save
from featrec.persistence._summary import load_summary

__all__ = ["load", "load_summary", "model_bytes", "save"]
