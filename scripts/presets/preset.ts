import type { NewClient } from '../../plugins/core/registry/registration.ts'

/** The values in the lines for the other side. */
export interface Given {
  issuer: string
  client_id: string
  /** Empty for a public client. */
  client_secret: string
  /** The URL of the application; for an MCP host, that of the MCP server that it uses. */
  url: string
}

/** Lines for a file or place at the other side. */
export interface PresetFile {
  name: string
  /** The language for highlighting on the page. */
  language: string
  lines(given: Given): string
}

/** A product that agents sign in to: its registration here, and its configuration. */
export interface Preset {
  title: string
  /** A path below the application's URL, or the whole URI of a host on the visitor's own machine. */
  redirect: string
  /** The members of its registration beside name and redirect URI. */
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
  /** The version with which these lines were tried. */
  version: string
  /** For the page: switches, names and sign-out. */
  notes: string[]
}

/** The registration of a product at `url`. */
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
