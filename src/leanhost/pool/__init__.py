"""A pool of imported environments in this process."""
