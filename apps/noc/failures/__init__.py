"""What failed, and sending it again: for the admin and the API, each user within their scope."""
