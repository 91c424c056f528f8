"""Text in, environment out: headers, imports, commands, messages."""
