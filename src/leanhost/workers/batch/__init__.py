"""Many items through a pool, from threads and event loops."""
