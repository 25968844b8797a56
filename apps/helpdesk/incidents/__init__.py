"""
ServiceNow's audit export as a source of tickets: read the file, place its locations, replay it.

The mapping of columns and states is in docs/incidents.md.
"""
