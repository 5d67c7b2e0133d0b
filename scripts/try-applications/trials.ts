import { authlib } from './products/authlib.ts'
import { djangoAllauth } from './products/django-allauth.ts'
import { fastapiSso } from './products/fastapi-sso.ts'
import { flaskOidc } from './products/flask-oidc.ts'
import { hashicorpCap } from './products/hashicorp-cap.ts'
import { jupyterHub } from './products/jupyterhub.ts'
import { kubernetes } from './products/kubernetes.ts'
import { mozillaDjangoOidc } from './products/mozilla-django-oidc.ts'
import { oauth2Proxy } from './products/oauth2-proxy.ts'
import { oktaOidcMiddleware } from './products/okta-oidc-middleware.ts'
import { openidconnect } from './products/openidconnect.ts'
import { passportOpenidconnect } from './products/passport-openidconnect.ts'
import { quarkus, quarkusApi } from './products/quarkus.ts'
import { socialAuth } from './products/social-auth-app-django.ts'
import { springApi } from './products/spring-api.ts'
import { springBoot3, springBoot4 } from './products/spring-boot.ts'
import { streamlit } from './products/streamlit.ts'
import type { ApiTrial, Trial } from './trial.ts'

/** Trials by the name of their preset. */
export const TRIALS: Record<string, Trial> = {
  'oauth2-proxy': oauth2Proxy,
  authlib,
  'django-allauth': djangoAllauth,
  'mozilla-django-oidc': mozillaDjangoOidc,
  'social-auth-app-django': socialAuth,
  'fastapi-sso': fastapiSso,
  jupyterhub: jupyterHub,
  streamlit,
  'spring-boot-3': springBoot3,
  'spring-boot-4': springBoot4,
  quarkus,
  'hashicorp-cap': hashicorpCap,
  openidconnect,
  'flask-oidc': flaskOidc,
  'passport-openidconnect': passportOpenidconnect,
  'okta-oidc-middleware': oktaOidcMiddleware,
}

/** Trials of APIs, which receive a token instead of a visitor. */
export const API_TRIALS: Record<string, ApiTrial> = {
  'spring-api': springApi('4.0.7'),
  'quarkus-api': quarkusApi,
  kubernetes,
  'spring-api-3': springApi('3.5.7'),
}
