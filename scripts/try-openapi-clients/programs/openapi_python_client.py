"""A whole sign-in with the client that openapi-python-client makes."""

import base64
import hashlib
import json
import secrets
import sys
from urllib.parse import parse_qs, urlsplit

from auth_agent_client import AuthenticatedClient, Client, models
from auth_agent_client.api.agents import authenticate_agent
from auth_agent_client.api.registration import register_client
from auth_agent_client.api.sign_in import open_authorization_request, read_userinfo
from auth_agent_client.api.tokens import introspect_token, request_token, revoke_token

issuer, agent_id, agent_secret = sys.argv[1:]
redirect_uri = "https://site.example/callback"
server = Client(base_url=issuer, headers={"accept": "application/json"})

client = register_client.sync(
    client=server,
    body=models.RegisterClientBody(
        client_name="Generated",
        redirect_uris=[redirect_uri],
        grant_types=["authorization_code", "refresh_token"],
    ),
)
credentials = {"client_id": client.client_id, "client_secret": client.client_secret}
verifier = secrets.token_urlsafe(32)
digest = hashlib.sha256(verifier.encode()).digest()
opened = open_authorization_request.sync(
    client=server,
    response_type="code",
    client_id=client.client_id,
    redirect_uri=redirect_uri,
    scope="openid email offline_access",
    code_challenge=base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
    code_challenge_method="S256",
)
authenticated = authenticate_agent.sync(
    client=server,
    body=models.AuthenticateAgentBody(
        request_id=opened.request_id,
        agent_id=agent_id,
        agent_secret=agent_secret,
        model="gpt-4o",
        deliver="agent",
    ),
)
(code,) = parse_qs(urlsplit(authenticated.redirect_to).query)["code"]
redeemed = request_token.sync(
    client=server,
    body=models.RequestTokenBodyType0(
        grant_type="authorization_code",
        code=code,
        code_verifier=verifier,
        redirect_uri=redirect_uri,
        **credentials,
    ),
)
visitor = AuthenticatedClient(base_url=issuer, token=redeemed.access_token)
userinfo = read_userinfo.sync(client=visitor)
refreshed = request_token.sync(
    client=server,
    body=models.RequestTokenBodyType1(
        grant_type="refresh_token", refresh_token=redeemed.refresh_token, **credentials
    ),
)


def introspect() -> bool:
    body = models.IntrospectTokenBody(token=refreshed.access_token, **credentials)
    return introspect_token.sync(client=server, body=body).active


active = introspect()
revoke_token.sync(
    client=server, body=models.RevokeTokenBody(token=refreshed.refresh_token, **credentials)
)
refusal = read_userinfo.sync(client=visitor)
print(
    json.dumps(
        {
            "email": userinfo.email,
            "active": active,
            "afterwards": introspect(),
            "refused": str(refusal.error),
        }
    )
)
