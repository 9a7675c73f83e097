"""What the published database says, for a terminal: one summary, and reports by day, session, project and so on.

`summary` is one screen about everything. All other reports take a `selection` of days, projects and machines, ask
the marts for rows and totals (`usage`, `tools`, `blocks`, `waste`) and are written as text, JSON or CSV (`render`).
"""
