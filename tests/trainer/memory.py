"""The memory that a plan announces is what training allocates, for the programs that memory.sh wrote."""
import json, os, re, subprocess, sys

WORK, NNC = sys.argv[1], os.environ["NNC"]
SLACK = 8 << 20  # executable, libraries, stacks, tables of the program
THREADS = 2
# Batch; steps of the run whose memory is looked at (VGG16 is allocated and initialised only).
CASES = {"mlp": (128, 2), "conv": (64, 4), "lstm": (64, 2), "resnet": (8, 1)}
if os.environ.get("FULL"):
    CASES["vgg"] = (1, 0)


def announced(source, batch):
    """What --emit=plan says of each function: its peak, and bytes for each thread."""
    plan = subprocess.run([NNC, source, "--emit=plan", f"--batch={batch}"], check=True, capture_output=True, text=True).stdout
    lines = re.findall(r"^(\S+) for \d+ rows.*\n +peak ([0-9,]+) bytes and ([0-9,]+) for", plan, re.M)
    return {name: (int(peak.replace(",", "")), int(each.replace(",", ""))) for name, peak, each in lines}


def arena(functions):
    """One arena serves them all."""
    return max(peak for peak, _ in functions) + THREADS * max(each for _, each in functions)


def run(command):
    """Output and peak memory (at least the 10 MiB of this process, which count until exec)."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    text = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return text, usage.ru_maxrss * 1024


def check(name, batch, steps):
    source, exe = os.path.join(WORK, name + ".nn"), os.path.join(WORK, name)
    subprocess.run([NNC, source, "-o", exe], check=True)
    options = ["--log", "json", "--threads", str(THREADS), "--batch", str(batch)]
    plan = announced(source, batch)
    of_training = arena([plan[f] for f in plan if f.split(".")[0] in ("step", "eval")])
    of_init = arena([announced(source, 1)["init"]])
    memory = json.loads(run([exe, "summary"] + options)[0])["train"][0]["memory"]
    text, peak = run([exe, "--steps", str(steps), "--out", exe + ".safetensors"] + options)
    os.remove(exe + ".safetensors")
    allocated = json.loads(text.splitlines()[0])["arena"]
    ok = of_training == memory["arena"] == allocated
    print(f"{'PASS' if ok else 'FAIL'} memory/{name}: the arena: plan {of_training:,}, summary {memory['arena']:,}, "
          f"training {allocated:,}")
    # The initial values are made before training's arena is there, and give theirs back.
    most = sum(memory.values()) - allocated + max(allocated, of_init)
    ok = os.environ.get("SAN") or 0 <= peak - most <= SLACK
    print(f"{'PASS' if ok else 'FAIL'} memory/{name}: the process took {peak:,} bytes at most, announced {most:,}")


for case, (rows, count) in CASES.items():
    check(case, rows, count)
