import type { Trial } from '../trial.ts'

export const jupyterHub: Trial = {
  async start(workshop) {
    const python = await workshop.python('jupyterhub==6.1.1', 'oauthenticator==17.4.0')
    const proxy = await workshop.npm('configurable-http-proxy@5.3.0')
    const api = await workshop.findFreePort()
    await workshop.write(
      'jupyterhub_config.py',
      `${workshop.lines}
c.JupyterHub.bind_url = "${workshop.url}"
c.JupyterHub.hub_port = ${await workshop.findFreePort()}
c.ConfigurableHTTPProxy.command = ["${process.execPath}", "${proxy}/bin/configurable-http-proxy"]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:${api}"
c.JupyterHub.spawner_class = "simple"
`,
    )
    await workshop.serve(python, ['-m', 'jupyterhub'], { ready: `${workshop.url}/hub/login` })
    return await workshop.versions(python, 'jupyterhub', 'oauthenticator')
  },
  login: '/hub/oauth_login?next=%2Fhub%2Fhome',
  home: '/hub/home',
  logout: '/hub/logout',
}
