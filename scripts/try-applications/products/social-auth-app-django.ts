import type { Trial } from '../trial.ts'
import { serveDjango } from './django.ts'

export const socialAuth: Trial = {
  start: (workshop) =>
    serveDjango(workshop, {
      packages: ['social-auth-app-django==8.0.0'],
      apps: ['social_django'],
      paths: 'path("", include("social_django.urls", namespace="social"))',
    }),
  login: async (browser, url) => {
    // It starts with a posted form alone.
    await browser.visit(`${url}/login/oidc/`, {})
  },
  home: '/',
  logout: '/leave',
}
