/** The facts about a server for the load driver. All servers have the same paths. */
export interface Site {
  origin: string
  /** How an agent signs in there; a server without sign-in issues tokens unconditionally. */
  signIn: 'auth-agent' | 'oidc-provider' | 'none'
  client_id: string
  client_secret: string
  redirect_uri: string
  agent_id: string
  agent_secret: string
}

/** Calls that every server answers. */
export function commonHandlers(site: Site) {
  return {
    site: () => site,
    cpu: (): number => {
      const { user, system } = process.cpuUsage()
      return user + system
    },
    resident: (): number => {
      globalThis.gc?.()
      globalThis.gc?.()
      return process.memoryUsage.rss()
    },
  }
}

export type ServerHandlers = ReturnType<typeof commonHandlers>

export const REDIRECT_URI = 'https://site.example/callback'
