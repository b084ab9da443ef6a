"""Times the network of Noise2Inverse on the processor: PyTorch's and wagiri's, same network, batch and precision. Prints Markdown.

python compare_torch.py WAGIRI_BENCH    needs torch; Linux

Run by hand, on a quiet machine: WAGIRI_BENCH is the program as `cargo bench --bench denoise --no-run` leaves it. Every measurement is a
process of its own, with the best of some repetitions; PyTorch's is the better of its two memory formats.
"""

import json
import os
import subprocess
import sys
import time

# What, channels, base width, depth, samples, size, repetitions.
CASES = [
    ("step", 11, 16, 3, 4, 128, 6),
    ("step", 11, 32, 4, 2, 256, 2),
    ("step", 11, 64, 4, 1, 128, 2),
    ("infer", 11, 16, 3, 1, 512, 4),
    ("infer", 11, 16, 3, 1, 1024, 2),
    ("infer", 11, 32, 4, 1, 512, 2),
    ("infer", 11, 64, 4, 1, 256, 2),
]


def peak_bytes():
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def torch_side(what, channels, base_width, depth, samples, size, threads, repeats, layout):
    import torch
    import unet

    torch.set_num_threads(threads)
    layout = getattr(torch, layout)
    network = unet.UNet(channels, base_width, depth).to(memory_format=layout)
    random = torch.Generator().manual_seed(1)
    inputs = (2 * torch.rand(samples, channels, size, size, generator=random) - 1).to(memory_format=layout)
    targets = torch.zeros(samples, size, size)
    adam = torch.optim.Adam(network.parameters(), lr=1e-3)
    network.train(what == "step")
    averaged = [p.detach().clone() for p in network.parameters()]
    before, best = peak_bytes(), [1e9, 1e9]
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        if what == "step":
            adam.zero_grad()
            loss = ((network(inputs) - targets) ** 2).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            adam.step()
            with torch.no_grad():
                torch._foreach_lerp_(averaged, list(network.parameters()), 0.01)
        else:
            with torch.inference_mode():
                network(inputs)
        spent = [time.perf_counter() - wall, time.process_time() - cpu]
        best = [min(pair) for pair in zip(best, spent)]
    return best + [before, peak_bytes()]


def measure(command):
    """Seconds of the processor and of wall clock, and by how many bytes memory grew."""
    environment = dict(os.environ, OMP_WAIT_POLICY="PASSIVE")
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    wall, cpu, before, peak = map(float, out.split()[:4])
    return cpu, wall, peak - before


if __name__ == "__main__":
    if sys.argv[1] == "--torch":
        print(*torch_side(sys.argv[2], *map(int, sys.argv[3:10]), sys.argv[10]))
        sys.exit()
    import torch

    with open("/proc/cpuinfo") as info:
        machine = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), "unknown")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print("# The network of Noise2Inverse against PyTorch\n")
    print(f"Written by `tests/bench/compare_torch.py`; do not edit. Commit {commit}. Machine: {machine}. PyTorch {torch.__version__}.\n")
    print(f"Load before the first measurement: {os.getloadavg()[0]:.0f} on {os.cpu_count()} processors; if it is more than there are")
    print("processors, seconds on the clock mean little, and those of the processor are what counts.\n")
    print("A *step* is forwards, backwards, clipping, Adam and the averaging of weights of a batch; *infer* is forwards with running")
    print("statistics. 11 channels, batch normalisation, 32-bit numbers on both sides. Seconds are those of the best repetition, on the")
    print("clock and of the processor, which counts what other programs make slower less; MB is by how much the process grew from when")
    print("weights and batch were there. *Ratio* is wagiri's over PyTorch's (with the better of its two memory formats, by time of the")
    print("processor): below 1 wagiri is better.\n")
    print("| what | base width, depth | images | threads | wagiri s | cpu s | MB | PyTorch s | cpu s | MB | ratio s | cpu s | MB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for what, channels, base_width, depth, samples, size, repeats in CASES:
        for threads in [1, 2]:
            values = [str(v) for v in [what, channels, base_width, depth, samples, size, threads, repeats]]
            ours = measure([sys.argv[1]] + values)
            theirs = min(
                measure([sys.executable, __file__, "--torch"] + values + [layout])
                for layout in ["contiguous_format", "channels_last"]
            )
            sides = [f"{wall:.3f} | {cpu:.3f} | {memory / 1e6:.0f}" for cpu, wall, memory in [ours, theirs]]
            ratios = " | ".join(f"{ours[i] / theirs[i]:.2f}" for i in [1, 0, 2])
            images = f"{samples} x {size}²"
            print(f"| {what} | {base_width}, {depth} | {images} | {threads} | {' | '.join(sides)} | {ratios} |", flush=True)
