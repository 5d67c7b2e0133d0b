"""Signs an agent in by its key, without a browser: reads the authorization URL, tells the callback."""

import os
import secrets
import time
from pathlib import Path

import jwt
import requests

issuer = os.environ["AUTH_AGENT_ISSUER"]
agent_id = os.environ["AUTH_AGENT_ID"]
key = jwt.PyJWK.from_json(Path(os.environ["AUTH_AGENT_KEY_FILE"]).read_text())


def prove(request_id: str, client_id: str) -> str:
    now = int(time.time())
    claims = {
        "iss": agent_id, "sub": agent_id, "aud": issuer,
        "request_id": request_id, "client_id": client_id,
        "jti": secrets.token_urlsafe(16), "iat": now, "exp": now + 30,
    }
    header = {"kid": key.key_id, "typ": "agent-assertion+jwt"}
    return jwt.encode(claims, key, key.algorithm_name, header)


def open_sign_in(authorization_url: str, site: str) -> str:
    if not authorization_url.startswith(f"{issuer}/authorize?"):
        raise ValueError(f"This is no sign-in of {issuer}")
    shown = requests.get(
        authorization_url,
        headers={"accept": "application/json"},
        allow_redirects=False,
        timeout=30,
    ).json()
    answer = requests.post(
        f"{issuer}/api/agent/authenticate",
        json={
            "request_id": shown["request_id"],
            "agent_assertion": prove(shown["request_id"], shown["client_id"]),
            "model": "my-model",
            "deliver": "agent",
            "expected_redirect_host": site,
        },
        allow_redirects=False,
        timeout=30,
    )
    if "redirect_to" not in answer.json():
        raise PermissionError(answer.text)
    return answer.json()["redirect_to"]  # holds the code: open it yourself, give it to nobody


if __name__ == "__main__":
    print(open_sign_in(input(), os.environ["SITE"]))
