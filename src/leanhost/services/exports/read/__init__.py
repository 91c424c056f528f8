"""Reading the export format and replaying it in the kernel."""
