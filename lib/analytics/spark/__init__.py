"""The same transformations on Apache Spark: dbt's compiled SQL, translated, over the same Iceberg tables."""
