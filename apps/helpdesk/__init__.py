"""Tickets: what they are, how their status may change, and the events that a change is."""
