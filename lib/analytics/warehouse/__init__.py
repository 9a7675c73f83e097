"""The DuckDB database: copy, load, build, publish."""
