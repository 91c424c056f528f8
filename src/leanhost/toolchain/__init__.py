"""Find, fetch, verify and describe toolchains; Lake projects and search paths.

Nothing here loads a Lean: a :class:`Toolchain` is a description that an engine opens.
"""

from leanhost.toolchain.discover import explain, list_toolchains, resolve
from leanhost.toolchain.faults import KnownFault
from leanhost.toolchain.lake import LakeProject, directories, lean_path, load_project
from leanhost.toolchain.model import Finding, Toolchain

__all__ = [
    "Finding",
    "KnownFault",
    "LakeProject",
    "Toolchain",
    "directories",
    "explain",
    "lean_path",
    "list_toolchains",
    "load_project",
    "resolve",
]
