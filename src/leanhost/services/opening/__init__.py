"""Opening a toolchain: its version table, its self-test, its engine."""
