import * as gateways from './gateways.ts'
import * as go from './go.ts'
import * as java from './java.ts'
import { MCP_HOSTS } from './mcp-hosts.ts'
import type { ApplicationPreset, Preset } from './preset.ts'
import * as python from './python.ts'
import * as rust from './rust.ts'

/** The applications of the page, in its order. */
export const APPLICATIONS: Record<string, ApplicationPreset> = {
  'oauth2-proxy': gateways.oauth2Proxy,
  jupyterhub: python.jupyterHub,
  authlib: python.authlib,
  'flask-oidc': python.flaskOidc,
  'django-allauth': python.djangoAllauth,
  'mozilla-django-oidc': python.mozillaDjangoOidc,
  'social-auth-app-django': python.socialAuth,
  'fastapi-sso': python.fastapiSso,
  streamlit: python.streamlit,
  'spring-boot-4': java.springBoot4,
  'spring-boot-3': java.springBoot3,
  quarkus: java.quarkus,
  'hashicorp-cap': go.hashicorpCap,
  openidconnect: rust.openidconnect,
}

/** All presets, by their name for `client create --preset`. */
export const PRESETS: Record<string, Preset> = { ...APPLICATIONS, ...MCP_HOSTS }
