"""Requests on their way through a pool."""
