import type { Browser } from './browser.ts'
import type { Workshop } from './workshop.ts'

/** How a framework for APIs is tried: it listens at the URL that is registered as its resource. */
export interface ApiTrial {
  /** Whether it takes an issuer with https alone; the workshop has the certificate. */
  https?: boolean
  start(workshop: Workshop): Promise<string>
}

/** How one product is tried. The file's name is the preset's. */
export interface Trial {
  /**
   * Installs the product, configures it with the preset's lines and starts it.
   * @returns the version that was installed
   */
  start(workshop: Workshop): Promise<string>
  /** Where somebody signs in, below the application's URL, or the form that starts it. */
  login: string | ((browser: Browser, url: string) => Promise<unknown>)
  /** The page that greets who is signed in by the owner's e-mail address. By default where the sign-in ends. */
  home?: string
  /** What the greeting is, where no page shows it. */
  greeting?(browser: Browser): string
  /** Where somebody signs out. */
  logout?: string
  /** Why no sign-in can work, in words of ours that the browser is shown. */
  impossible?: RegExp
}
