"""Proof states and tactics."""
