#!/usr/bin/env python3
"""Packs a folder so that the same files give the same bytes: in order of their names, without owners, all of one date.

tools/archive.py FOLDER ARCHIVE.tar.gz
"""

import gzip
import os
import pathlib
import sys
import tarfile


def main():
    folder, archive = map(pathlib.Path, sys.argv[1:])
    date = int(os.environ["SOURCE_DATE_EPOCH"])

    def normal(entry):
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mtime = date
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    # The name and the date of the archive itself would be in it.
    with open(archive, "wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for path in [folder, *sorted(folder.rglob("*"), key=lambda path: path.parts)]:
                tar.add(path, path.relative_to(folder.parent), recursive=False, filter=normal)


if __name__ == "__main__":
    main()
