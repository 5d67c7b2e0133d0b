"""Gives generated requests what they cannot guess: a client, an authorization request, a code, a token.

The server that is tried lives for this run alone. What is given comes from it over HTTP, a fresh code
or request each time, and part of the generated requests stays as it is.
"""

import atexit
import base64
import collections
import hashlib
import json
import os
import secrets
import urllib.error
import urllib.parse
import urllib.request

import schemathesis

ISSUER = os.environ["TRY_ISSUER"]
AGENT = {"agent_id": os.environ["TRY_AGENT_ID"], "agent_secret": os.environ["TRY_AGENT_SECRET"]}
CLIENT = {
    "client_id": os.environ["TRY_CLIENT_ID"],
    "client_secret": os.environ["TRY_CLIENT_SECRET"],
}
REDIRECT_URI = os.environ["TRY_REDIRECT_URI"]


def call(path, form=None, body=None, token=None):
    headers = {"Accept": "application/json"}
    data = None
    if form is not None:
        data = urllib.parse.urlencode(form).encode()
    if body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(ISSUER + path, data=data, headers=headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def pkce():
    verifier = secrets.token_urlsafe(32)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def authorization(challenge):
    return {
        "response_type": "code",
        "client_id": CLIENT["client_id"],
        "redirect_uri": REDIRECT_URI,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "scope": "openid email offline_access",
    }


def new_request():
    verifier, challenge = pkce()
    query = urllib.parse.urlencode(authorization(challenge))
    return call(f"/authorize?{query}")["request_id"], verifier


def new_code():
    request_id, verifier = new_request()
    proof = {"request_id": request_id, **AGENT, "model": "gpt-4o", "deliver": "agent"}
    redirect_to = call("/api/agent/authenticate", body=proof)["redirect_to"]
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(redirect_to).query)
    return {"code": query["code"][0], "code_verifier": verifier, "redirect_uri": REDIRECT_URI}


def new_tokens():
    return call("/token", form={"grant_type": "authorization_code", **new_code(), **CLIENT})


def new_registration():
    return call("/register", body={"redirect_uris": [REDIRECT_URI]})


def given_for(operation, body):
    """What a request of this operation needs to get past its first check."""
    name = operation.definition.raw["operationId"]
    if name == "requestToken":
        grant_type = body.get("grant_type")
        if secrets.randbelow(2):
            grant_type = secrets.choice(["authorization_code", "refresh_token"])
            body["grant_type"] = grant_type
        if grant_type == "authorization_code":
            return {**new_code(), **CLIENT}
        if grant_type == "refresh_token":
            return {"refresh_token": new_tokens()["refresh_token"], **CLIENT}
        return dict(CLIENT)
    if name in ("introspectToken", "revokeToken"):
        return {"token": new_tokens()["access_token"], **CLIENT}
    if name in ("authenticateAgent", "verifyApproval"):
        return {"request_id": new_request()[0], **AGENT}
    if name == "postAuthorizationRequest":
        return authorization(pkce()[1])
    if name == "updateClient":
        return {"client_id": REGISTRATION["client_id"], "redirect_uris": [REDIRECT_URI]}
    if name == "registerClient":
        return {"redirect_uris": [REDIRECT_URI]}
    return {}


@schemathesis.hook
def map_body(context, body):
    if not isinstance(body, dict) or secrets.randbelow(4) == 0:
        return body
    given = given_for(context.operation, body)
    if context.operation.definition.raw["operationId"] == "updateClient" and secrets.randbelow(2):
        return given
    # A generated member that is good stays in one request of three, so that both are combined.
    return {**body, **given} if secrets.randbelow(3) else {**given, **body}


@schemathesis.hook
def map_query(context, query):
    name = context.operation.definition.raw["operationId"]
    if secrets.randbelow(4) == 0:
        return query
    if name == "openAuthorizationRequest":
        return {**(query or {}), **authorization(pkce()[1])}
    if name == "checkStatus":
        # Long polling would only make the run long.
        return {"request_id": new_request()[0]}
    return query


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters and "client_id" in path_parameters and secrets.randbelow(2):
        return {**path_parameters, "client_id": REGISTRATION["client_id"]}
    return path_parameters


REGISTRATION = new_registration()


@schemathesis.auth().apply_to(path="/userinfo")
class AccessToken:
    def get(self, case, ctx):
        return new_tokens()["access_token"]

    def set(self, case, data, ctx):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.auth().apply_to(path="/register/{client_id}")
class RegistrationToken:
    def get(self, case, ctx):
        return REGISTRATION["registration_access_token"]

    def set(self, case, data, ctx):
        case.headers = case.headers or {}
        if case.operation.definition.raw["operationId"] == "deleteClient":
            registration = new_registration()
            case.path_parameters["client_id"] = registration["client_id"]
            data = registration["registration_access_token"]
        case.headers["Authorization"] = f"Bearer {data}"


STATUSES = collections.defaultdict(collections.Counter)


@schemathesis.hook
def after_call(context, case, response):
    STATUSES[case.operation.definition.raw["operationId"]][response.status_code] += 1


@atexit.register
def report():
    with open(os.environ["TRY_STATUSES"], "w") as file:
        json.dump(STATUSES, file)
