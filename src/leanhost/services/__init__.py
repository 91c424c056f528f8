"""Sessions, elaboration, evidence."""
