"""A website in Starlette whose visitors sign in with Auth Agent, by Authlib."""

import os

import uvicorn
from authlib.integrations.starlette_client import OAuth, OAuthError
from joserfc.errors import JoseError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

issuer = os.environ["ISSUER"]
client_id = os.environ["CLIENT_ID"]
client_secret = os.environ["CLIENT_SECRET"]
redirect_uri = os.environ["REDIRECT_URI"]

oauth = OAuth()
auth_agent = oauth.register(
    "auth_agent",
    server_metadata_url=f"{issuer}/.well-known/openid-configuration",
    client_id=client_id,
    client_secret=client_secret,
    client_kwargs={"scope": "openid email", "code_challenge_method": "S256"},
)


async def login(request: Request) -> Response:
    return await auth_agent.authorize_redirect(request, redirect_uri)


async def callback(request: Request) -> Response:
    token = await auth_agent.authorize_access_token(request)
    claims = token["userinfo"]  # of the ID token, checked; claims["email"] is the agent's owner
    return JSONResponse(claims)


async def refuse(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)


app = Starlette(
    routes=[Route("/login", login), Route("/callback", callback)],
    middleware=[Middleware(SessionMiddleware, secret_key=os.urandom(32).hex())],
    exception_handlers={OAuthError: refuse, JoseError: refuse},
)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning")
