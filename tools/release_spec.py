"""Write the files of a release of the contract to `dist/`: what `make release-spec` runs.

`domo-oauth-VERSION.yaml` is the contract; `.json` the same for tools without YAML; `-prism-overlay.yaml` the changes
that Stoplight Prism needs; `-recordings.zip` the recordings; `.sha256` the checksums for `sha256sum --check`. The same
contract gives the same bytes on every machine.
"""

import argparse
import hashlib
import json
import zipfile
from io import BytesIO
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = ROOT / "openapi" / "domo-oauth.yaml"
OVERLAY = ROOT / "openapi" / "overlays" / "prism.yaml"
RECORDINGS = ROOT / "openapi" / "recordings"


def recordings() -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:  # not compressed: versions of zlib differ
        for path in sorted(RECORDINGS.glob("*.har")):
            info = zipfile.ZipInfo(f"recordings/{path.name}")  # with the time 1980-01-01
            info.create_system, info.external_attr = 3, 0o644 << 16  # as on Unix
            archive.writestr(info, path.read_bytes())
    return packed.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the files of a release of the contract.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where to (default: dist)")
    out: Path = parser.parse_args().out
    contract = yaml.safe_load(CONTRACT.read_bytes())
    name = f"domo-oauth-{contract['info']['version']}"
    files = {
        f"{name}.json": (json.dumps(contract, indent=2, ensure_ascii=False) + "\n").encode(),
        f"{name}.yaml": CONTRACT.read_bytes(),
        f"{name}-prism-overlay.yaml": OVERLAY.read_bytes(),
        f"{name}-recordings.zip": recordings(),
    }
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {file}\n" for file, content in sorted(files.items()))
    out.mkdir(parents=True, exist_ok=True)
    for file, content in (files | {f"{name}.sha256": sums.encode()}).items():
        (out / file).write_bytes(content)
        print(out / file)


if __name__ == "__main__":
    main()
