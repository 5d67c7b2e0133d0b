import type { Trial } from '../trial.ts'
import { serveDjango } from './django.ts'

export const djangoAllauth: Trial = {
  start: (workshop) =>
    serveDjango(workshop, {
      packages: ['django-allauth[socialaccount]==65.21.1', 'requests==2.34.2'],
      apps: [
        'allauth',
        'allauth.account',
        'allauth.socialaccount',
        'allauth.socialaccount.providers.openid_connect',
      ],
      middleware: ['allauth.account.middleware.AccountMiddleware'],
      paths: 'path("accounts/", include("allauth.urls"))',
      settings: `AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
SOCIALACCOUNT_LOGIN_ON_GET = True
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"`,
    }),
  login: '/accounts/oidc/auth-agent/login/',
  home: '/',
  logout: '/leave',
}
