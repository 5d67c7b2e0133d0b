import type { Browser } from './browser.ts'
import type { Workshop } from './workshop.ts'

/** A trial of an API framework. The API listens at the URL that is registered as its resource. */
export interface ApiTrial {
  /** Whether it accepts only https issuers; the workshop has the certificate. */
  https?: boolean
  start(workshop: Workshop): Promise<string>
}

/** A trial of one product. The file has the name of the preset. */
export interface Trial {
  /**
   * Installs the product, configures it with the preset's lines and starts it.
   * @returns the version that was installed
   */
  start(workshop: Workshop): Promise<string>
  /** The path of the sign-in below the application's URL, or the form that starts it. */
  login: string | ((browser: Browser, url: string) => Promise<unknown>)
  /** The page that shows the owner's e-mail address after sign-in. By default the page where it ends. */
  home?: string
  /** Reads the greeting, if no page shows it. */
  greeting?(browser: Browser): string
  /** The path of the sign-out. */
  logout?: string
  /** The error of this server that the browser shows, if no sign-in can work. */
  impossible?: RegExp
}
