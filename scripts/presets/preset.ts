import type { NewClient } from '../../plugins/core/registry/registration.ts'

/** What the lines for the other side are filled with. */
export interface Given {
  issuer: string
  client_id: string
  /** Empty for a public client. */
  client_secret: string
  /** Where the application is; for an MCP host, the MCP server that it is to use. */
  url: string
}

/** What is put where at the other side. */
export interface PresetFile {
  name: string
  /** How the page highlights it. */
  language: string
  lines(given: Given): string
}

/** A product that agents sign in to: how it is registered here, and what it is told. */
export interface Preset {
  title: string
  /** A path below the application's URL, or the whole URI of a host on the visitor's own machine. */
  redirect: string
  /** What its registration needs beyond a name and a redirect URI. */
  registration?: Pick<
    NewClient,
    | 'application_type'
    | 'grant_types'
    | 'id_token_signed_response_alg'
    | 'refresh_reuse_grace'
    | 'token_endpoint_auth_method'
  >
  files: PresetFile[]
}

/** A preset of the page of applications. */
export interface ApplicationPreset extends Preset {
  /** With which an agent was signed in by these lines. */
  version: string
  /** For the page: switches, names and sign-out. */
  notes: string[]
}

/** What is registered for a product at `url`. */
export function registrationOf(preset: Preset, url: string): NewClient {
  return {
    client_name: preset.title,
    redirect_uris: [redirectUri(preset, url)],
    ...preset.registration,
  }
}

export function redirectUri({ redirect }: Pick<Preset, 'redirect'>, url: string): string {
  return isBelowUrl({ redirect }) ? url + redirect : redirect
}

/** Whether the redirect URI depends on where the product runs. */
export function isBelowUrl({ redirect }: Pick<Preset, 'redirect'>): boolean {
  return redirect.startsWith('/')
}
