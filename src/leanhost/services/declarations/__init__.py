"""Questions about the declarations of an environment."""
