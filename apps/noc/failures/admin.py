"""The admin's pages on failures; importing this registers them."""

from apps.noc.failures import dead_letter_admin, lane_admin, replay_admin

__all__ = ["dead_letter_admin", "lane_admin", "replay_admin"]
