/**
 * A page of the agent's own browser, as Playwright and Puppeteer have it. Where it is must come from
 * the browser and not from the page's own scripts.
 */
export interface Page {
  url(): string | Promise<string>
  evaluate(expression: string): Promise<unknown>
  goto(url: string): Promise<unknown>
}

/** A session with one page over the Chrome DevTools Protocol, as Playwright and Puppeteer have it. */
export interface CdpSession {
  send(method: string, parameters?: object): Promise<unknown>
}

/** The page of a DevTools session, for agents that speak to their browser without a library. */
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
