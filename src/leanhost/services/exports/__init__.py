"""Declarations as files: lean4export's NDJSON format, written and read back through the kernel."""
