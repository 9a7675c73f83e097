"""Write the digests of the images we build on beside their tags: `make pin-images`.

    python docker/pin_images.py [FILE ...]

A tag can be moved to another image; a digest cannot. Each is asked of the registry now, for the tag that stands in the
file, and only what the registry answered is written; when one cannot be had, no file is changed. Run it again to take
over what the tags have become since.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = [ROOT / "Dockerfile", ROOT / "docker" / "metabase.Dockerfile", ROOT / "docker-compose.yml"]

# `FROM image:tag` of a Dockerfile, `image: image:tag` of a compose file; our own images have no tag.
IMAGE = re.compile(
    r"^(FROM |    image: )([a-z0-9][a-z0-9./:_-]*?:[\w][\w.-]*)(@sha256:[0-9a-f]{64})?(?=\s|$)", re.MULTILINE
)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def digest(image: str) -> str:
    """The digest of `image` (a name with a tag) in its registry, of all platforms together.

    Raises:
        LookupError: no registry told it.
    """
    if shutil.which("skopeo"):
        full = image if "/" in image else f"library/{image}"
        host = full.split("/")[0]
        full = full if "." in host or ":" in host else f"docker.io/{full}"
        command = ["skopeo", "inspect", "--no-tags", "--format", "{{.Digest}}", f"docker://{full}"]
    elif shutil.which("docker"):
        command = ["docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", image]
    else:
        raise LookupError("neither skopeo nor docker is installed: one of them asks the registry")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = done.stdout.strip()
    if done.returncode or not DIGEST.fullmatch(found):
        said = (done.stderr or done.stdout).strip().splitlines()
        raise LookupError(f"{image}: no digest from its registry: {said[-1] if said else 'no answer'}")
    return found


def main() -> int:
    files = [Path(name) for name in sys.argv[1:]] or FILES
    texts = {path: path.read_text() for path in files}
    images = sorted({found[2] for text in texts.values() for found in IMAGE.finditer(text)})
    try:
        digests = {image: digest(image) for image in images}
    except LookupError as error:
        print(f"error: {error}; no file was changed", file=sys.stderr)
        return 1
    for path, text in texts.items():
        path.write_text(IMAGE.sub(lambda found: f"{found[1]}{found[2]}@{digests[found[2]]}", text))
    for image, found in digests.items():
        print(f"{image}  {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
