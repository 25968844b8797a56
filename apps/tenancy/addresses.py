"""What counts as one address: of IPv6 a network, since whoever has one address of it has all."""

from ipaddress import IPv6Address, ip_address, ip_network

NETWORK_OF_IPV6 = 64  # bits


def counted_as(address: str) -> str | None:
    """Return the address that a client at ``address`` is counted under; None: it is none."""
    try:
        found = ip_address(address)
    except ValueError:
        return None
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ip_network((int(found), NETWORK_OF_IPV6), strict=False).network_address)
