/**
 * A page of the agent's own browser, as Playwright and Puppeteer have it. `url` must ask the browser:
 * the page's own scripts can lie.
 */
export interface Page {
  url(): string | Promise<string>
  evaluate(expression: string): Promise<unknown>
  goto(url: string): Promise<unknown>
}

/** A session of the Chrome DevTools Protocol with one page. */
export interface CdpSession {
  send(method: string, parameters?: object): Promise<unknown>
}

/** Makes a page of a DevTools session, for agents that use no browser library. */
export function cdpPage(session: CdpSession): Page {
  return {
    async url() {
      const { frameTree } = (await session.send('Page.getFrameTree')) as {
        frameTree: { frame: { url: string } }
      }
      return frameTree.frame.url
    },
    async evaluate(expression) {
      const { result } = (await session.send('Runtime.evaluate', {
        expression,
        returnByValue: true,
      })) as { result: { value?: unknown } }
      return result.value
    },
    async goto(url) {
      const { errorText } = (await session.send('Page.navigate', { url })) as {
        errorText?: string
      }
      if (errorText) throw new Error(errorText)
    },
  }
}
