"""Great Expectations, imported without what nothing here uses of it: `from analytics.quality.great import gx`.

It takes seconds, so only what validates does that.
"""

from analytics.common.process import import_late, without_url_grammar

# tests of distributions: a quarter of the time
import_late("scipy", "stats")
with without_url_grammar():
    import great_expectations as gx

__all__ = ["gx"]
