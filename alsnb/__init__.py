"""alsnb asks whether a T1-weighted brain MRI tells ALS from the diseases that mimic it.

The package computes; the notebooks in ``notebooks/`` explain; the book tells; the run
folder remembers.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("alsnb")
except PackageNotFoundError:  # a source tree that is not installed
    __version__ = "0+unknown"
