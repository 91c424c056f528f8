"""Frozen answers, options and tokens that every other room speaks in."""
