"""Dashboards as code: one definition, rendered as Metabase dashboards and as a self-contained HTML report."""
