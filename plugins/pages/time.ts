import { html } from 'ghtml'
import { describeTime } from '../core/audit/sign-in-lines.ts'

/** A time, with its zone. */
export function timeElement(seconds: number): string {
  return html`<time datetime="${new Date(seconds * 1000).toISOString()}">${describeTime(seconds)}</time>`
}
