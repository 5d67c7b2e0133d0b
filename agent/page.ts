/**
 * A page of the agent's browser, as Playwright has it. Its address is asked of the browser, not of
 * the page's own scripts.
 */
export interface Page {
  url(): string
  content(): Promise<string>
  goto(url: string): Promise<unknown>
  setContent(html: string): Promise<unknown>
}

/** A session with one page over the Chrome DevTools Protocol, as Playwright and Puppeteer have it. */
export interface CdpSession {
  send(method: string, parameters?: object): Promise<unknown>
}

/** The page of a DevTools session. */
export async function cdpPage(session: CdpSession): Promise<Page> {
  await session.send('Page.enable')
  const frame = async () => {
    const tree = (await session.send('Page.getFrameTree')) as {
      frameTree: { frame: { url: string } }
    }
    return tree.frameTree.frame.url
  }
  let present = await frame()
  return {
    url: () => present,
    async content() {
      const root = (await session.send('DOM.getDocument', { depth: 0 })) as {
        root: { nodeId: number }
      }
      const { nodeId } = root.root
      const { outerHTML } = (await session.send('DOM.getOuterHTML', { nodeId })) as {
        outerHTML: string
      }
      present = await frame()
      return outerHTML
    },
    async goto(url) {
      await session.send('Page.navigate', { url })
      present = await frame()
    },
    async setContent(html) {
      const written = `document.open(); document.write(${JSON.stringify(html)}); document.close()`
      await session.send('Runtime.evaluate', { expression: written })
    },
  }
}
