"""The dashboards in a Metabase: its REST client, the bodies it wants, and what creates and updates them."""
