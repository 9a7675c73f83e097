"""The raw layer: one Iceberg table of documents as they came, one of those that could not be stored."""
