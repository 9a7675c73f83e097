"""What may come in: redaction, and what was purged for good."""
