"""Write the reference page to `build/page/index.html`: what `make page` runs.

It fetches Stoplight Elements, two files of one package that npm would install with a hundred others, and puts them
where the sandbox and the build of a wheel look for them. The same contract gives the same bytes.
"""

import base64
import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

from domo_oauth.contract.document import contract
from domo_oauth.sandbox import page

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "page"
ELEMENTS = ROOT / "src" / "domo_oauth" / "sandbox" / "elements"
OUT = ROOT / "build" / "page" / "index.html"
VERSION = "9.0.25"
# The package's `dist.integrity`, as a lock file would have it.
SHA512 = "rDbNsgSCNo74lyV57cBzym+8F68/R2j7UPq4r3w5qK608vX8APNJhTq+2MkbTjsM3bUhFIoRdI225tlI85KpCA=="


def fetch(tarball: Path) -> None:
    """Fetch the package unless it is there. .npmrc forbids scripts and questions."""
    if tarball.exists():
        return
    tarball.parent.mkdir(parents=True, exist_ok=True)
    npm = Path(sys.executable).with_name("npm")
    pack: list[str | Path] = [npm, "pack", "--loglevel=error", "--pack-destination", tarball.parent]
    done = subprocess.run(
        [*pack, f"@stoplight/elements@{VERSION}"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(
            f"{done.stderr}page: npm cannot fetch Elements {VERSION}. It is needed once: check the network, the proxy "
            "and the registry (npm config get registry)."
        )


def unpack(tarball: Path) -> None:
    """Put the files of the page, and their licences, where the sandbox looks for them."""
    if base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode() != SHA512:
        sys.exit(f"page: {tarball} differs from the published Elements {VERSION}: remove it and try again.")
    ELEMENTS.mkdir(exist_ok=True)
    with tarfile.open(tarball) as archive:
        for name in (page.SCRIPT, page.STYLE, *page.LICENCES):
            member = archive.extractfile(f"package/{name}")
            assert member is not None, name
            (ELEMENTS / name).write_bytes(member.read())


def main() -> None:
    tarball = CACHE / f"stoplight-elements-{VERSION}.tgz"
    fetch(tarball)
    unpack(tarball)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(page.published_page(contract()), encoding="utf-8", newline="\n")
    print(OUT)


if __name__ == "__main__":
    main()
