"""Running it regularly: schedules, cron, alerts, status, and looking after what is stored."""
