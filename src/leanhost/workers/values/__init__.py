"""What goes into a worker pool and what comes out of it."""
