import type { Trial } from '../trial.ts'
import { serveDjango } from './django.ts'

export const mozillaDjangoOidc: Trial = {
  start: (workshop) =>
    serveDjango(workshop, {
      packages: ['mozilla-django-oidc==5.0.2'],
      apps: ['mozilla_django_oidc'],
      paths: 'path("oidc/", include("mozilla_django_oidc.urls"))',
      settings: 'AUTHENTICATION_BACKENDS = ["mozilla_django_oidc.auth.OIDCAuthenticationBackend"]',
    }),
  login: '/oidc/authenticate/',
  home: '/',
  logout: '/leave',
}
