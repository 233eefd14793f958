"""What protecting a 1200-byte packet costs beside the raw cryptography of the same bytes."""

import asyncio
import pathlib
import subprocess

from harness import paths

from . import clips
from .report import Report, median, ratio

OURS = {"protect-128": "hap-srtp: protect in place", "protect-256": "hap-srtp: protect in place, AES-256",
        "accept-128": "hap-srtp: authenticate and decrypt in place"}
RAW = {"RustCrypto": "raw: aes + ctr + hmac + sha1 of RustCrypto", "SHA1": "raw: libcrypto, EVP cipher and SHA1_*",
       "HMAC_CTX": "raw: libcrypto, EVP cipher and HMAC_*", "EVP_MAC": "raw: libcrypto, EVP cipher and EVP_MAC_*"}
BEST = "raw cost: the cheapest of these, or of their parts added up"
PARTS = ("cipher-RustCrypto", "cipher-libcrypto", "mac-RustCrypto", "mac-libcrypto")


async def run(options, folder):
    report = Report("srtp: microseconds per 1200-byte packet, AES-128-CTR with HMAC-SHA1-80")
    programs = [paths.TARGET / "release" / "examples" / "throughput"]
    if raw := compile_raw():
        programs.append(raw)
    else:
        report.note("Without libcrypto: it cannot be compiled against here, so the raw cost is that of RustCrypto.")
    samples = {name: [] for name in [*OURS, *RAW, *PARTS]}
    for _ in range(options.samples):
        for program in programs:
            for name, value in await asyncio.to_thread(figures, program):
                samples[name].append(value)
    samples["best"] = best = cheapest(samples)
    report.note(f"{options.samples} runs of each in turn, each the median of 101 slices.")
    table = report.table("one core, data in cache", "median", "lowest", "highest", "of raw", "packets/s")
    for name, what in [*OURS.items(), *RAW.items(), ("best", BEST)]:
        if not samples[name]:
            continue
        of_raw = median(ratio(samples[name], best))
        table.samples(what, samples[name], of_raw, round(1e6 / median(samples[name])))
    report.goal("protect : raw", median(ratio(samples["protect-128"], best)), 1.25)
    return report


def cheapest(samples):
    """Run by run: the cheapest way of doing both, or the cheapest cipher and the cheapest MAC if they are less together."""
    columns = {name: values for name, values in samples.items() if values}
    runs = range(len(columns["RustCrypto"]))
    parts = [[min(columns[name][run] for name in PARTS if name in columns and name.startswith(kind)) for run in runs]
             for kind in ("cipher", "mac")]
    return [min([sum(both), *(columns[name][run] for name in RAW if name in columns)]) for run, *both in zip(runs, *parts)]


def compile_raw():
    source = pathlib.Path(__file__).with_name("raw_crypto.c")
    program = clips.CACHE / "raw_crypto"
    clips.CACHE.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["cc", "-O2", "-o", program, source, "-lcrypto"], capture_output=True)
    return program if done.returncode == 0 else None


def figures(program):
    lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()
    return [(name, float(value)) for name, value in map(str.split, lines)]
