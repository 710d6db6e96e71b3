"""png.py FILE: width, height and channels of a PNG; png.py FILE X Y ...: its pixels there. No library: what is tested is the file."""
import struct
import sys
import zlib


def read(path):
    data = open(path, 'rb').read()
    assert data[:8] == b'\x89PNG\r\n\x1a\n', 'no PNG'
    at, packed, head = 8, b'', None
    while at < len(data):
        size, kind = struct.unpack('>I4s', data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        crc, = struct.unpack('>I', data[at + 8 + size:at + 12 + size])
        assert crc == zlib.crc32(kind + body), 'checksum'
        head = struct.unpack('>IIBBBBB', body) if kind == b'IHDR' else head
        packed += body if kind == b'IDAT' else b''
        at += 12 + size
    width, height, depth, colour = head[:4]
    assert depth == 8 and kind == b'IEND'
    channels = {0: 1, 2: 3}[colour]
    return width, height, channels, unfiltered(zlib.decompress(packed), width * channels, channels)


def nearest(a, b, c):
    p = a + b - c
    return min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]


def unfiltered(raw, stride, channels):
    rows, before = [], bytes(stride)
    for at in range(0, len(raw), stride + 1):
        kind, row = raw[at], bytearray(raw[at + 1:at + 1 + stride])
        for i in range(stride):
            a = row[i - channels] if i >= channels else 0
            b, c = before[i], before[i - channels] if i >= channels else 0
            row[i] = (row[i] + (0, a, b, (a + b) // 2, nearest(a, b, c))[kind]) & 255
        rows.append(row)
        before = row
    return rows


width, height, channels, rows = read(sys.argv[1])
places = [int(x) for x in sys.argv[2:]]
if not places:
    print(width, height, channels)
for x, y in zip(places[::2], places[1::2]):
    print(*rows[y][x * channels:(x + 1) * channels])
