/** A browser without a window: it follows redirects and keeps cookies by host, as browsers do. */
export class Browser {
  readonly #cookies = new Map<string, Map<string, string>>()

  /** The URL of the last page. */
  url = ''
  status = 0
  body = ''

  async visit(url: string, form?: Record<string, string>): Promise<this> {
    let next: string | undefined = url
    let body = form && new URLSearchParams(form)
    for (let hops = 0; next !== undefined; hops++) {
      if (hops > 20) throw new Error(`More than 20 redirects, the last one to ${next}`)
      this.url = next
      const response: Response = await fetch(next, {
        method: body === undefined ? 'GET' : 'POST',
        body: body ?? null,
        headers: this.#headers(new URL(next)),
        redirect: 'manual',
      })
      this.#keep(new URL(next).hostname, response.headers.getSetCookie())
      this.status = response.status
      this.body = await response.text()
      const location = response.headers.get('location')
      next = location === null ? undefined : new URL(location, next).href
      body = undefined
    }
    return this
  }

  cookie(name: string): string | undefined {
    return this.#cookies.get(new URL(this.url).hostname)?.get(name)
  }

  #headers({ hostname, origin }: URL): Record<string, string> {
    const cookies = [...(this.#cookies.get(hostname) ?? [])].map(
      ([name, value]) => `${name}=${value}`,
    )
    return {
      accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
      'sec-fetch-mode': 'navigate',
      referer: `${origin}/`,
      ...(cookies.length > 0 && { cookie: cookies.join('; ') }),
    }
  }

  #keep(hostname: string, lines: string[]): void {
    const cookies = this.#cookies.get(hostname) ?? new Map<string, string>()
    this.#cookies.set(hostname, cookies)
    for (const line of lines) {
      const [, name = '', value = ''] = line.match(/^([^=]+)=([^;]*)/) ?? []
      const expired = /;\s*(max-age=0|expires=[^;]*(1970|19\d\d))/i.test(line) || value === '""'
      if (expired || value === '') cookies.delete(name)
      else cookies.set(name, value)
    }
  }
}
