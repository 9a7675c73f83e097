"""Claude Code analytics: from conversation logs to validated, published marts."""
