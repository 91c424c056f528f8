"""Writing the export format."""
