"""A candidate judged against a reference."""
