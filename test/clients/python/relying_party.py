"""Signs one visitor in with Authlib and requests; says where to send him, and reads where he came back."""

import json
import os

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

issuer = os.environ["ISSUER"]
client_id = os.environ["CLIENT_ID"]
client_secret = os.environ["CLIENT_SECRET"]
redirect_uri = os.environ["REDIRECT_URI"]

server = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=10).json()
if server["issuer"] != issuer:
    raise ValueError("The metadata is another issuer's")
client = OAuth2Session(
    client_id,
    client_secret,
    scope="openid email",
    redirect_uri=redirect_uri,
    code_challenge_method="S256",
)
code_verifier, nonce = generate_token(48), generate_token(32)
authorization_url, state = client.create_authorization_url(
    server["authorization_endpoint"], code_verifier=code_verifier, nonce=nonce
)
# Keep state, nonce and code_verifier in the visitor's session, and send the visitor there.
print(authorization_url, flush=True)
callback = input()
# When the visitor comes back, at the URL callback:
token = client.fetch_token(
    server["token_endpoint"],
    authorization_response=callback,
    state=state,
    code_verifier=code_verifier,
)
keys = KeySet.import_key_set(requests.get(server["jwks_uri"], timeout=10).json())
id_token = jwt.decode(token["id_token"], keys, algorithms=["RS256"])
claims = CodeIDToken(
    id_token.claims,
    id_token.header,
    {"iss": {"value": issuer}, "aud": {"value": client_id}},
    {"nonce": nonce, "client_id": client_id, "access_token": token["access_token"]},
)
claims.validate(leeway=10)  # claims["email"] is the owner of the agent

print(json.dumps(claims))
