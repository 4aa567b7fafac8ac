"""Strips programs and zips each as `bootstrap`; skips what has not changed. Called by scripts/package."""

import argparse
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile

import deflate

# The most that a zip may have, in bytes: docs/adr/0021-small-functions.md.
LARGE = 6_000_000
# The earliest that a zip can say, 1980-01-01; what tells two zips of the same program apart must not be when they were made.
EPOCH = (0, 1 << 5 | 1)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--glibc", required=True)
    arguments.add_argument("--machine", required=True)
    arguments.add_argument("--from", dest="source", type=pathlib.Path, required=True)
    arguments.add_argument("--to", type=pathlib.Path, required=True)
    arguments.add_argument("binaries", nargs="+")
    options = arguments.parse_args()
    for binary in options.binaries:
        pack(binary, options)
    print(f"{'zip':<28}{'zip, MB':>9}{'unpacked, MB':>14}")
    for binary in options.binaries:
        with zipfile.ZipFile(options.to / f"{binary}.zip") as packed:
            size, unpacked = os.path.getsize(packed.filename), packed.getinfo("bootstrap").file_size
        verdict = "" if size < LARGE else f"  TOO LARGE: the aim is {LARGE / 1e6:.0f} MB"
        print(f"{binary:<28}{size / 1e6:>9.2f}{unpacked / 1e6:>14.2f}{verdict}")


def pack(binary, options):
    program, target, stamp = options.source / binary, options.to / f"{binary}.zip", options.to / f"{binary}.of"
    if not program.is_file():
        sys.exit(f"halyard: {program} was not built")
    seen = program.stat()
    made_of = f"{program.resolve()} {seen.st_size} {seen.st_mtime_ns} deflate {deflate.__version__}\n"
    if target.is_file() and stamp.is_file() and stamp.read_text() == made_of:
        return
    with tempfile.TemporaryDirectory() as scratch:
        bootstrap = pathlib.Path(scratch, "bootstrap")
        strip(program, bootstrap, options.machine)
        check_libc(bootstrap, binary, options.glibc)
        new = target.with_suffix(".new")
        new.write_bytes(zipped(b"bootstrap", bootstrap.read_bytes()))
        with zipfile.ZipFile(new) as packed:
            if packed.testzip() is not None:
                sys.exit(f"halyard: {new} cannot be read again")
    os.replace(new, target)
    stamp.write_text(made_of)


def zipped(name, data):
    """One executable file. Packed by libdeflate, whose result is 3 % smaller than zlib's, which is all that `zipfile` knows.

    Source: PKWARE's APPNOTE.TXT, sections 4.3.7 (local file header), 4.3.12 (central directory), 4.3.16 (its end)."""
    body, version, method = deflate.deflate_compress(data, 12), 20, 8
    common = struct.pack("<HHHHHIIIHH", version, 0, method, *EPOCH, deflate.crc32(data), len(body), len(data), len(name), 0)
    local = b"PK\3\4" + common + name
    made_by_unix, mode = 3 << 8 | version, 0o100755
    central = b"PK\1\2" + struct.pack("<H", made_by_unix) + common + struct.pack("<HHHII", 0, 0, 0, mode << 16, 0) + name
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local) + len(body), 0)
    return local + body + central + end


def strip(program, into, machine):
    """With a tool that knows the machine: this one's own, a cross-compiler's, LLVM's; else with Zig's."""
    names = ["llvm-strip", f"{machine}-linux-gnu-strip"]
    tool = next((found for name in names if (found := shutil.which(name))), None)
    if tool is None and machine in (os.uname().machine, os.uname().machine.replace("arm64", "aarch64")):
        tool = shutil.which("strip")
    if tool:
        command = [tool, "-o", into, program]
    elif zig := shutil.which("python-zig"):
        command = [zig, "objcopy", "--strip-all", program, into]
    else:
        sys.exit("halyard: no `strip` was found; install it with: apt-get install -y binutils")
    subprocess.run(command, check=True)


def check_libc(program, binary, newest):
    """A function that asks for a newer C library than Lambda's would not start there."""
    needs = {tuple(map(int, version.split(b"."))) for version in re.findall(rb"\0GLIBC_(\d+\.\d+)(?=[.\0])", program.read_bytes())}
    if needs and max(needs) > tuple(map(int, newest.split("."))):
        found = ".".join(map(str, max(needs)))
        sys.exit(f"halyard: {binary} needs glibc {found}, and Lambda's system has {newest}: build it with ZIGBUILD=1 scripts/package")


main()
