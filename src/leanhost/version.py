"""The version of the package, and where it lies, without asking the installation."""

from __future__ import annotations

import os

VERSION = "0.1.0"
"""The same as in ``pyproject.toml``."""

PACKAGE_ROOT = os.path.dirname(__file__)  # noqa: PTH120 - `import leanhost` loads no pathlib
"""The directory of the package."""
