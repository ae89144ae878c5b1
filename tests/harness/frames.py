"""Frames as bytes, built by hand: what a pod that does not play by the rules may send. Offsets and fields: RFC 791,
8200, 768, 9293, 826, 4861, IEEE 802.1Q."""

import ipaddress
import socket
import struct
import time

ETH_IPV4, ETH_IPV6, ETH_ARP, ETH_VLAN = 0x0800, 0x86DD, 0x0806, 0x8100
ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def packed(address):
    return ipaddress.ip_address(address).packed


def checksum(data):
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(destination, source, payload, ether_type=ETH_IPV4, vlan=()):
    tags = b"".join(struct.pack("!HH", ETH_VLAN, tag) for tag in vlan)
    return mac_bytes(destination) + mac_bytes(source) + tags + struct.pack("!H", ether_type) + payload


def ipv4(source, destination, protocol, payload, ttl=64, identification=1, flags=0, offset=0, options=b"", tos=0, **wrong):
    """`wrong` replaces a field by a value that does not fit: length, header_words, header_checksum, version."""
    words = wrong.get("header_words", 5 + len(options) // 4)
    head = struct.pack("!BBHHHBBH4s4s", wrong.get("version", 4) << 4 | words, tos,
                       wrong.get("length", 20 + len(options) + len(payload)), identification, flags << 13 | offset, ttl,
                       protocol, 0, packed(source), packed(destination)) + options
    value = wrong.get("header_checksum", checksum(head))
    return head[:10] + struct.pack("!H", value) + head[12:] + payload


def ipv6(source, destination, next_header, payload, hop_limit=64, **wrong):
    return struct.pack("!IHBB16s16s", wrong.get("version", 6) << 28, wrong.get("length", len(payload)), next_header,
                       hop_limit, packed(source), packed(destination)) + payload


def pseudo_header(source, destination, protocol, length):
    if ":" in source:
        return packed(source) + packed(destination) + struct.pack("!IxxxB", length, protocol)
    return packed(source) + packed(destination) + struct.pack("!xBH", protocol, length)


def with_checksum(segment, at, source, destination, protocol):
    value = checksum(pseudo_header(source, destination, protocol, len(segment)) + segment) or 0xFFFF
    return segment[:at] + struct.pack("!H", value) + segment[at + 2:]


def crc32c(data):
    """CRC-32C bit by bit (RFC 9260 appendix A)."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def udp(source, destination, source_port, destination_port, data, **wrong):
    segment = struct.pack("!HHHH", source_port, destination_port, wrong.get("length", 8 + len(data)), 0) + data
    return with_checksum(segment, 6, source, destination, UDP)


def icmp_echo(identifier, sequence, data=b"x" * 32):
    message = struct.pack("!BBHHH", 8, 0, 0, identifier, sequence) + data
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def icmpv6_echo(source, destination, identifier, sequence, data=b"x" * 32):
    message = struct.pack("!BBHHH", 128, 0, 0, identifier, sequence) + data
    return with_checksum(message, 2, source, destination, ICMPV6)


def arp_request(sender_mac, sender, target):
    return struct.pack("!HHBBH6s4s6s4s", 1, ETH_IPV4, 6, 4, 1, mac_bytes(sender_mac), packed(sender), b"\0" * 6,
                       packed(target))


def neighbour_solicitation(source, target, source_mac):
    """To the solicited-node multicast address of `target` (RFC 4861 section 4.3)."""
    destination = str(ipaddress.IPv6Address(packed("ff02::1:ff00:0")[:13] + packed(target)[13:]))
    body = struct.pack("!BBHI16sBB6s", 135, 0, 0, 0, packed(target), 1, 1, mac_bytes(source_mac))
    return destination, ipv6(source, destination, ICMPV6, with_checksum(body, 2, source, destination, ICMPV6), 255)


def raw_socket(place, interface="eth0", timeout_s=2):
    """A packet socket on an interface of a place: sends whole frames as they are, receives every frame."""
    made = place.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    made.bind((interface, 0))
    made.settimeout(timeout_s)
    return made


def receive_matching(raw, matches, timeout_s=2):
    """The first frame that arrives in the socket and fits; None when time is up. Frames the place itself sends are
    passed over."""
    deadline = time.monotonic() + timeout_s
    while (remaining := deadline - time.monotonic()) > 0:
        raw.settimeout(remaining)
        try:
            frame, address = raw.recvfrom(65535)
        except TimeoutError:
            return None
        if address[2] != socket.PACKET_OUTGOING and matches(frame):
            return frame
    return None
