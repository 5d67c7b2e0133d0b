import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { encode, type Parameters, type SignedInOwner } from '../harness.ts'

/** An operator's browser. */
export function browserOf(app: FastifyInstance, { headers }: Pick<SignedInOwner, 'headers'>) {
  return {
    get: (path: string): Promise<LightMyRequestResponse> => app.inject({ url: path, headers }),
    post: (path: string, form: Parameters = {}): Promise<LightMyRequestResponse> =>
      app.inject({
        method: 'POST',
        url: path,
        headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
        payload: encode(form),
      }),
  }
}

/** What the form of a page sends when nothing in it is changed. */
export function readForm(page: string): Record<string, string> {
  const form = page.match(/<form class="card" method="post"[\s\S]*?<\/form>/)?.[0] ?? ''
  const values: Record<string, string> = {}
  for (const [tag] of form.matchAll(/<input [^>]*>/g)) {
    const attribute = (name: string) =>
      readText(tag.match(new RegExp(` ${name}="([^"]*)"`))?.[1] ?? '')
    const name = attribute('name')
    const isChoice = / type="(radio|checkbox)"/.test(tag)
    if (!isChoice || / checked/.test(tag)) values[name] = attribute('value')
  }
  for (const [, name = '', text] of form.matchAll(
    /<textarea [^>]*name="([^"]*)"[^>]*>\n?([\s\S]*?)<\/textarea>/g,
  )) {
    values[name] = readText(text ?? '')
  }
  return values
}

/** A part of a page, with its escaped characters as they are read. */
export function readText(html: string): string {
  return html
    .replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
}
