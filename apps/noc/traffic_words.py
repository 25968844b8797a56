"""What tickets, findings and anomalies of the demo say."""

import random

DEVICES = (
    "core-sw-01",
    "edge-rtr-02",
    "fw-01",
    "acc-sw-07",
    "wlc-01",
    "san-02",
    "esx-04",
    "ups-01",
)
CARRIERS = ("Northline", "Meridian Telecom", "Vantage Fibre")
SERVICES = ("point of sale", "e-mail", "VPN", "voice", "ERP", "guest wireless", "backup")

DESCRIPTIONS = (
    "Link down between {device} and {carrier} hand-off, port Gi1/0/{n}",
    "BGP session to {carrier} flapping, {n} resets in the last hour",
    "Packet loss of {n} % on the {carrier} circuit, both directions",
    "{device}: power supply 2 failed, running without redundancy",
    "{device}: CPU above {n} % for 15 minutes",
    "{device}: fan tray alarm, intake at {n} °C",
    "{device} not reachable by SNMP since the maintenance window",
    "Users report that {service} is slow in the mornings",
    "{service} unavailable for the whole site",
    "Certificate of the {service} gateway expires in {n} days",
    "DHCP scope for VLAN {n} exhausted",
    "Wireless clients drop off every {n} minutes on the second floor",
    "Disk {n} predicted to fail in {device}",
    "Nightly {service} job did not finish, {n} files left",
    "{carrier} announces planned work, please confirm the window",
)
UPDATES = (
    "Carrier has opened a fault report.",
    "Seen again after the restart.",
    "Affects the second site as well.",
    "Remote hands are on their way.",
    "Log files attached to the carrier's case.",
)
COMMENTS = (
    "Looking into it.",
    "Carrier was called, waiting for their answer.",
    "The site's contact does not answer the telephone.",
    "Same picture as last week, see the notes there.",
    "Handed over to the next shift.",
)
AWAITED = ("User Info", "Vendor", "Problem", "Evidence")
SOLUTIONS = (
    "Optic replaced, errors cleared.",
    "Carrier repaired the line.",
    "Configuration corrected and saved.",
    "Restarted, watched for 30 minutes.",
    "User confirms that it works.",
)
FINDINGS = (
    "Firmware of {device} is {n} releases behind",
    "{device} accepts SNMP v1",
    "No backup of the configuration of {device} for {n} days",
    "{device} has a default community string",
    "Port Gi1/0/{n} of {device} is in the default VLAN",
)
METRICS = (  # name, what is expected, and the spread
    ("uplink.utilisation_percent", 45.0, 40.0),
    ("wan.latency_ms", 18.0, 120.0),
    ("wan.packet_loss_percent", 0.1, 6.0),
    ("wireless.clients", 140.0, 110.0),
    ("rack.intake_celsius", 24.0, 14.0),
)


def fill(text: str, dice: random.Random) -> str:
    """Put a device, a carrier, a service and a number into a text."""
    filled = text.format(
        device=dice.choice(DEVICES),
        carrier=dice.choice(CARRIERS),
        service=dice.choice(SERVICES),
        n=dice.randint(2, 48),
    )
    return filled[0].upper() + filled[1:] if text.startswith("{service}") else filled
