"""The version of the package, and where it lies, without asking the installation."""

from __future__ import annotations

from pathlib import Path

VERSION = "0.1.0"
"""The same as in ``pyproject.toml``."""

PACKAGE_ROOT = Path(__file__).parent
"""The directory of the package."""
