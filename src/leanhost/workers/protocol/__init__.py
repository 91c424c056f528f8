"""Frames and messages between a pool and its processes."""
