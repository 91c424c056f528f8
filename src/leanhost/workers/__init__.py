"""Isolated workers."""
