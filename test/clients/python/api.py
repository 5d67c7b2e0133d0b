"""Verifies access tokens offline: one a line, answered by its claims or by what is wrong with it."""

import json
import os
import sys

import jwt

issuer = os.environ["ISSUER"]
resource = os.environ["RESOURCE"]

keys = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json")


def verify(token: str) -> dict:
    """The claims of an access token for this API; raises jwt.PyJWTError for any other."""
    verified = jwt.decode_complete(
        token,
        keys.get_signing_key_from_jwt(token),
        algorithms=["ES256"],
        issuer=issuer,
        audience=resource,
        options={"require": ["exp", "iat", "sub"]},
    )
    if verified["header"].get("typ") != "at+jwt":
        raise jwt.InvalidTokenError("not an access token")
    return verified["payload"]


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            answer = verify(line.strip())
        except jwt.PyJWTError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)
