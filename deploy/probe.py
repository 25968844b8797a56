"""A container's health check: exit 0 when GET http://127.0.0.1:PORT/PATH answers 200.

It asks as the proxy in front does, or the site would redirect it to https or refuse its host name.
"""

import http.client
import os
import sys


def main(port: str, path: str) -> int:
    """Return 0, or 1 after saying what came instead of 200."""
    host = os.environ.get("ALLOWED_HOSTS", "").partition(",")[0].strip().lstrip(".")
    headers = {"X-Forwarded-Proto": "https"} | ({"Host": host} if host else {})
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=5)
    try:
        connection.request("GET", path, headers=headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"{path}: {error}\n")
        return 1
    finally:
        connection.close()
    if status != 200:
        sys.stderr.write(f"{path}: HTTP {status}\n")
    return int(status != 200)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
