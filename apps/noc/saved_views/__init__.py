"""Filters of the page that a user keeps under a name, and may share with the tenant."""
