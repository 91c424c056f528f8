"""Handles of expressions, and MetaM over them."""
