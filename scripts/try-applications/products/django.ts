import type { Workshop } from '../workshop.ts'

/** A Django site with the settings and the paths of a product, that greets who is signed in. */
export async function serveDjango(
  workshop: Workshop,
  given: {
    packages: string[]
    apps: string[]
    middleware?: string[]
    paths: string
    settings?: string
  },
): Promise<string> {
  const python = await workshop.python(...given.packages, 'django==5.2.19')
  await workshop.write(
    'site_settings.py',
    `SECRET_KEY = "not secret"
DEBUG = True
ALLOWED_HOSTS = ["localhost"]
ROOT_URLCONF = "site_urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.db"}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    ${given.apps.map((app) => `"${app}",`).join('\n    ')}
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    ${(given.middleware ?? []).map((name) => `"${name}",`).join('\n    ')}
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
${given.settings ?? ''}
${workshop.lines}
`,
  )
  await workshop.write(
    'site_urls.py',
    `from django.contrib.auth import logout
from django.http import HttpResponse
from django.urls import include, path


def home(request):
    user = request.user
    return HttpResponse(f"Hello, {user.email}" if user.is_authenticated else "Nobody")


def leave(request):
    logout(request)
    return HttpResponse("Good-bye")


urlpatterns = [path("", home), path("leave", leave), ${given.paths}]
`,
  )
  const env = { ...process.env, DJANGO_SETTINGS_MODULE: 'site_settings', PYTHONPATH: '.' }
  await workshop.run(python, ['-m', 'django', 'migrate', '-v', '0'], { env })
  const address = `localhost:${workshop.port}`
  await workshop.serve(python, ['-m', 'django', 'runserver', '--noreload', address], { env })
  const names = given.packages.map((name) => name.replace(/[[=].*/, ''))
  return await workshop.versions(python, ...names, 'django')
}
