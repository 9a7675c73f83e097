"""Dashboards as code: one definition, read by Metabase, the browser's pages and the file to send."""
