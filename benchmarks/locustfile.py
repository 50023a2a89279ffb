"""Load of a running server with locust, as any HTTP server is tested.

    pip install locust
    featrec serve MODEL &
    IMAGES=$FEATREC_DATA/scene15/test locust -f benchmarks/locustfile.py --headless -u 8 -r 8 -t 60s -H http://127.0.0.1:8000

Each user sends the next image when the answer to the last one has arrived. The environment variable IMAGES names a folder; the
JPEG and PNG files in it and below it are sent in turn. benchmarks/serving.py measures more, and costs the machine less.
"""

import itertools
import os
from pathlib import Path

from locust import FastHttpUser, events, task

KINDS = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}
MOST = 200
PATHS = [path for path in sorted(Path(os.environ.get("IMAGES", ".")).rglob("*")) if path.suffix.lower() in KINDS]
CHOSEN = PATHS[:: max(1, len(PATHS) // MOST)][:MOST]
IMAGES = [(KINDS[path.suffix.lower()], path.read_bytes()) for path in CHOSEN]
TURNS = itertools.count()


@events.test_start.add_listener
def check_images(environment, **_):
    """Stop before the first request if there is nothing to send."""
    if not IMAGES:
        raise SystemExit("the folder that IMAGES names has no JPEG or PNG file; set IMAGES to a folder of images")


class Client(FastHttpUser):
    """Sends images without a pause."""

    @task
    def predict(self):
        """Send one image."""
        kind, image = IMAGES[next(TURNS) % len(IMAGES)]
        self.client.post("/predict", data=image, headers={"Content-Type": kind})
