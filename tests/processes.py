"""Fresh processes without importing everything each time: forked from one that has imported it and done nothing."""

from __future__ import annotations

import multiprocessing

PROCESSES = multiprocessing.get_context("forkserver")
_OURS = ["operations.purge", "quality.gx_duckdb", "quality.validate", "raw.dead_letters", "raw.extract"]
_OURS += ["raw.maintenance", "sources.jsonl", "sources.sync"]
_OURS += ["warehouse.load", "warehouse.marts", "warehouse.publish", "warehouse.transform"]
_LIBRARIES = ["dbt.adapters.duckdb", "dbt.cli.main", "great_expectations", "pyarrow.dataset", "pyarrow.parquet"]
_LIBRARIES += ["pyiceberg.catalog.sql", "pyiceberg.io.pyarrow", "strictyaml"]
PROCESSES.set_forkserver_preload([*(f"analytics.{name}" for name in _OURS), *_LIBRARIES])
