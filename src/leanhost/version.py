"""The version of the package, for whatever has to say it without asking the installation."""

from __future__ import annotations

VERSION = "0.1.0"
"""The same as in ``pyproject.toml``."""
