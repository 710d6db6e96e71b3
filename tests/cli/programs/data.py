"""Writes what the programs of programs.sh read: small files of the same kinds as the real ones."""
import gzip, os, random, struct, sys, zlib

root = sys.argv[1]
random.seed(1)


def write(name, text):
    path = f"{root}/{name}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


# Pictures of ten kinds: each has its row of light.
def idx(name, rows):
    image = [bytes(200 if i // 28 // 2 == kind else i % 7 for i in range(784)) for kind in range(10)]
    with gzip.open(f"{root}/{name}-images-idx3-ubyte.gz", "wb", 1) as f:
        f.write(struct.pack(">IIII", 0x803, rows, 28, 28) + b"".join(image[i % 10] for i in range(rows)))
    with gzip.open(f"{root}/{name}-labels-idx1-ubyte.gz", "wb", 1) as f:
        f.write(struct.pack(">II", 0x801, rows) + bytes(i % 10 for i in range(rows)))


idx("train", 11300)  # digits.nn takes the last 10,000 to validate, d5-pseudo.nn labels those after 1,000
idx("t10k", 20)


def png(name, size, colour):
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    os.makedirs(os.path.dirname(f"{root}/{name}"), exist_ok=True)
    with open(f"{root}/{name}", "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress((b"\0" + bytes(colour) * size) * size)) + chunk(b"IEND", b""))


for k in range(4):
    for part in ("train", "validation"):
        png(f"pets/{part}/cat/{k}.png", 20 + k, (200, 40 * k, 0))
        png(f"pets/{part}/dog/{k}.png", 30 + k, (0, 40 * k, 200))

write("house-votes-84.data", "".join(
    ",".join([random.choice(["democrat", "republican"])] + [random.choice("yn") for _ in range(16)]) + "\n" for _ in range(60)))
write("train.csv", "Id,Area,Street,Rooms,SalePrice\n" + "".join(
    f"{i},{50 + i % 90},{'Pave' if i % 3 else 'NA'},{'NA' if i % 50 == 7 else i % 6},{100000 + 1000 * (i % 90)}\n" for i in range(400)))
write("traffic.csv", "date,volume\n" + "".join(f"{i},{(i % 24) * 10 + random.random():.3f}\n" for i in range(200)))
write("tinyshakespeare.txt", "To be, or not to be, that is the question:\n" * 40)
for part in ("train", "test"):
    for i in range(8):
        write(f"aclImdb/{part}/{'pos' if i % 2 else 'neg'}/{i}.txt", f"{'good' if i % 2 else 'bad'} film number {i}, I say")
