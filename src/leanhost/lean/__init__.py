"""How Lean functions are called and laid out, per version."""
