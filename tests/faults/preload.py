"""Imported once by the process that all stages are forked from. Nothing here may start a thread."""

import dbt.cli.main
import great_expectations
import pyiceberg.table
from analytics import dead_letters, extract, load, publish, transform, validate
from analytics.sources import mongodb

__all__ = ["dbt", "dead_letters", "extract", "great_expectations", "load", "mongodb", "publish", "pyiceberg"]
__all__ += ["transform", "validate"]
