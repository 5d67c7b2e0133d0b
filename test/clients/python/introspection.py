"""Asks the server about access tokens: one a line, answered as the server does."""

import json
import os
import sys

import requests

issuer = os.environ["ISSUER"]
resource_id = os.environ["RESOURCE_ID"]
resource_secret = os.environ["RESOURCE_SECRET"]


def introspect(token: str) -> dict:
    response = requests.post(
        f"{issuer}/introspect",
        data={"token": token},
        auth=(resource_id, resource_secret),
        timeout=10,
        allow_redirects=False,
    )
    response.raise_for_status()
    return response.json()  # what is not for this API is {"active": False}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(introspect(line.strip())), flush=True)
