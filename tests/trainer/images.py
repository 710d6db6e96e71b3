"""Writes small pictures for images.sh: folders of PNG and JPEG files, damaged ones, CIFAR records."""
import gzip, os, random, shutil, struct, sys, zlib

here, root = os.path.dirname(os.path.abspath(__file__)), sys.argv[1]


def png(path, height, width, pixel, grey=False):
    rows = b"".join(b"\0" + b"".join(bytes([pixel(i, k)] if grey else pixel(i, k)) for k in range(width))
                    for i in range(height))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if grey else 2, 0, 0, 0)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def plain(name, value, size=(4, 4)):
    png(f"{root}/{name}", *size, lambda i, k: value)


# Two classes by their colour, in many sizes; the last row of each class is a JPEG.
for split, n in (("train", 20), ("valid", 6)):
    for k in range(n):
        plain(f"pets/{split}/red/{k:02}.png", (200 + k, 10, 10), (3 + k, 9))
        plain(f"pets/{split}/blue/{k:02}.png", (10, 10, 200 + k), (8, 4 + k))
os.makedirs(f"{root}/pets/train/.hidden")
open(f"{root}/pets/train/red/notes.txt", "w").write("no picture")

# What resize makes of a ramp; a JPEG in colour and one in grey.
png(f"{root}/ramp/a/ramp.png", 6, 8, lambda i, k: (10 * k, 20 * i, 255 if (i + k) % 2 else 0))
for name in ("colour", "grey"):
    os.makedirs(f"{root}/{name}/a")
    shutil.copy(f"{here}/{name}.jpg", f"{root}/{name}/a/1.JPG")

# Damaged and hostile files among good ones.
for k in range(6):
    plain(f"bad/a/{k}.png", (100, 100, 100))
good = open(f"{root}/bad/a/0.png", "rb").read()
jpeg = open(f"{here}/colour.jpg", "rb").read()
huge = good[:16] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + good[24:29]
for name, content in (("cut.png", good[:-20]), ("empty.jpg", b""), ("text.png", b"this is a text"),
                      ("cut.jpg", jpeg[:len(jpeg) // 2]), ("head.jpg", jpeg[:4]),
                      ("huge.png", huge + struct.pack(">I", zlib.crc32(huge[12:])) + good[33:])):
    open(f"{root}/bad/a/x-{name}", "wb").write(content)
shutil.copytree(f"{root}/bad", f"{root}/worse")
for k in range(6):
    os.remove(f"{root}/worse/a/{k}.png")

# CIFAR: class, then planes.
record = lambda c: bytes([c]) + bytes([c]) * 1024 + bytes([100 + c]) * 1024 + bytes(range(256)) * 4
with gzip.open(f"{root}/ten.bin.gz", "wb") as f:
    f.write(b"".join(record(c) for c in range(10)))
open(f"{root}/short.bin", "wb").write(record(1)[:-1])
open(f"{root}/class.bin", "wb").write(record(11))

# Flipped bits: every reader ends, with a result or a message.
random.seed(1)
for k in range(60):
    bad = bytearray(jpeg if k % 2 else good)
    for _ in range(3):
        bad[random.randrange(len(bad))] = random.randrange(256)
    os.makedirs(f"{root}/flipped/a", exist_ok=True)
    open(f"{root}/flipped/a/{k:02}.{'jpg' if k % 2 else 'png'}", "wb").write(bad)
plain("flipped/a/zz.png", (1, 2, 3))
