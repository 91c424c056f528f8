"""Sessions whose calls run in a worker."""
