/** What the load driver needs to know of a server. The paths are the same on all of them. */
export interface Site {
  origin: string
  /** How an agent signs in there; a server that signs nobody in gives tokens for nothing. */
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
