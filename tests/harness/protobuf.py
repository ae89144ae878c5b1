"""Messages of protocol buffers without their .proto: fields by number, as they are on the wire.

Source: https://protobuf.dev/programming-guides/encoding. A value is bytes, a str, an int or bool (varint), a message
(another dict), or a list of these: a repeated field. An empty value is left out, as proto3 does.
"""


def _varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(message):
    """`message`: {field number: value}."""
    out = b""
    for number, values in message.items():
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, int):
                out += _varint(number << 3) + _varint(value) if value else b""
                continue
            if isinstance(value, dict):
                value = encode(value)
            elif isinstance(value, str):
                value = value.encode()
            if value or isinstance(values, list):
                out += _varint(number << 3 | 2) + _varint(len(value)) + value
    return out


def text_map(entries):
    """A map<string, string>."""
    return [{1: key, 2: value} for key, value in entries.items()]


def _read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if not byte & 128:
            return value, at


def decode(data):
    """{field number: last value}; ints and bytes."""
    fields, at = {}, 0
    while at < len(data):
        key, at = _read_varint(data, at)
        if key & 7 == 0:
            fields[key >> 3], at = _read_varint(data, at)
        elif key & 7 == 2:
            length, at = _read_varint(data, at)
            fields[key >> 3], at = data[at:at + length], at + length
        else:
            size = {1: 8, 5: 4}[key & 7]
            fields[key >> 3], at = data[at:at + size], at + size
    return fields
