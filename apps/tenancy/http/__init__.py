"""What every endpoint under /api/v1/ shares: access, problems, bodies, pages."""
