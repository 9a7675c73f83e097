"""The dashboards in the browser."""
