"""A whole sign-in with the Python client that openapi-generator makes."""

import base64
import hashlib
import json
import secrets
import sys
from urllib.parse import parse_qs, urlsplit

import auth_agent
from auth_agent import models

issuer, agent_id, agent_secret = sys.argv[1:]
redirect_uri = "https://site.example/callback"
configuration = auth_agent.Configuration(host=issuer)
server = auth_agent.ApiClient(configuration)
tokens = auth_agent.TokensApi(server)
sign_in = auth_agent.SignInApi(server)

client = auth_agent.RegistrationApi(server).register_client(
    models.RegisterClientRequest(
        client_name="Generated",
        redirect_uris=[redirect_uri],
        grant_types=["authorization_code", "refresh_token"],
    )
)
credentials = {"client_id": client.client_id, "client_secret": client.client_secret}
verifier = secrets.token_urlsafe(32)
digest = hashlib.sha256(verifier.encode()).digest()
opened = sign_in.open_authorization_request(
    response_type="code",
    client_id=client.client_id,
    redirect_uri=redirect_uri,
    scope="openid email offline_access",
    code_challenge=base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
    code_challenge_method="S256",
)
authenticated = auth_agent.AgentsApi(server).authenticate_agent(
    models.AuthenticateAgentRequest(
        request_id=opened.request_id,
        agent_id=agent_id,
        agent_secret=agent_secret,
        model="gpt-4o",
        deliver="agent",
    )
)
(code,) = parse_qs(urlsplit(authenticated.actual_instance.redirect_to).query)["code"]
redeemed = tokens.request_token(
    grant_type="authorization_code",
    code=code,
    code_verifier=verifier,
    redirect_uri=redirect_uri,
    **credentials,
)
configuration.access_token = redeemed.access_token
userinfo = sign_in.read_userinfo()
refreshed = tokens.request_token(
    grant_type="refresh_token", refresh_token=redeemed.refresh_token, **credentials
)
active = tokens.introspect_token(token=refreshed.access_token, **credentials).active
tokens.revoke_token(token=refreshed.refresh_token, **credentials)
afterwards = tokens.introspect_token(token=refreshed.access_token, **credentials).active
try:
    sign_in.read_userinfo()
    refused = None
except auth_agent.exceptions.UnauthorizedException as refusal:
    refused = refusal.data.error
print(
    json.dumps(
        {"email": userinfo.email, "active": active, "afterwards": afterwards, "refused": refused}
    )
)
