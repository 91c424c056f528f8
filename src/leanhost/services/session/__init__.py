"""Hosts and sessions."""
