"""The ``leanhost`` command: a thin skin over the public API.

Exit status: 0 everything was accepted, 1 something was not, 2 the question could not be put (usage, files
that cannot be read, toolchain trouble); 130 after Ctrl-C, 143 after SIGTERM, 141 when standard output was
closed early.
"""

from leanhost.cli.entry import main

__all__ = ["main"]
