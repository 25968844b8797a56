"""The figures of the charts: per minute, kept for some days, written off the way of a change."""
